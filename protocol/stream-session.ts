/** Both ends of a session: Noise, records, yamux. See docs/functions-protocol.md. */
export { InitiatorSession } from './stream-session-initiator.ts'
export { ReplayMemory } from './stream-session-replay.ts'
export { ResponderSession } from './stream-session-responder.ts'
export { TicketStore } from './stream-session-tickets.ts'
