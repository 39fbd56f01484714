/** Rotates the keys of all tunnels by a cron trigger. ISTHMUS_TOKEN and ISTHMUS_URL are bindings. */
import { rotationCron } from 'isthmus/functions/cloudflare'

export default { scheduled: rotationCron({ waitMs: 600_000 }) }
