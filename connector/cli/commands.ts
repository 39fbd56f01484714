/** All verbs, in the order in which the help lists them. */
import { bgp } from './bgp.ts'
import { check } from './check.ts'
import type { Verb } from './command.ts'
import { control } from './control.ts'
import { decode } from './decode.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { down } from './down.ts'
import { join } from './join.ts'
import { keygen } from './keygen.ts'
import { leave } from './leave.ts'
import { login, logout } from './login.ts'
import { MANAGE_VERBS } from './manage/verbs/all.ts'
import { own } from './own.ts'
import { drain, paths, undrain } from './paths.ts'
import { peerConfig } from './peer-config.ts'
import { ping } from './ping.ts'
import { rekey } from './rekey.ts'
import { routes } from './routes.ts'
import { services } from './services.ts'
import { status } from './status.ts'
import { streams } from './streams.ts'
import { trust } from './trust.ts'
import { up } from './up.ts'

export const COMMANDS: readonly Verb[] = [
  demo,
  check,
  keygen,
  up,
  status,
  routes,
  bgp,
  paths,
  drain,
  undrain,
  ping,
  rekey,
  services,
  streams,
  down,
  doctor,
  decode,
  peerConfig,
  control,
  login,
  logout,
  ...MANAGE_VERBS,
  join,
  trust,
  own,
  leave,
]
