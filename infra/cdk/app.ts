/** The stacks that the context asks for: `npx aws-cdk deploy --all` in this folder. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { bundle } from '../lambda/build.ts'
import { ConnectorStack } from './connector.ts'
import { ControlPlaneStack } from './control-plane.ts'
import { type Context, connectorInputs, controlPlaneInputs } from './inputs.ts'

const app = new App()
const context: Context = (name) => app.node.tryGetContext(name)
const control = controlPlaneInputs(context)
const connector = connectorInputs(context)
if (control === undefined && connector === undefined) {
  throw new Error('the context names neither "control" nor "connector": see infra/cdk/README.md')
}
if (control !== undefined) {
  const code = mkdtempSync(join(tmpdir(), 'isthmus-lambda-'))
  await bundle(code)
  new ControlPlaneStack(app, 'IsthmusControl', { inputs: control, code })
}
if (connector !== undefined) new ConnectorStack(app, 'IsthmusConnector', { inputs: connector })
app.synth()
