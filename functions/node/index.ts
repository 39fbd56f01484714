/** `isthmus/functions/node`: for drivers that were written for Node's sockets. */
export { ioredisOptions, mysqlOptions, pgOptions } from './drivers.ts'
export { duplexes, SocketDuplex, toDuplex } from './duplex.ts'
