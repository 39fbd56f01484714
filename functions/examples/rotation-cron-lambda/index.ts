/** Rotates the keys of all tunnels by a schedule of EventBridge. The token is $ISTHMUS_TOKEN, the address $ISTHMUS_URL. */
import { rotationSchedule } from 'isthmus/functions/lambda'

export const handler = rotationSchedule({ waitMs: 240_000 })
