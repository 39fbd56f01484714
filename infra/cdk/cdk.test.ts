import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { ConnectorStack } from './connector.ts'
import { ControlPlaneStack } from './control-plane.ts'
import { type Context, connectorInputs, controlPlaneInputs } from './inputs.ts'

const root = resolve(import.meta.dirname, '../..')
const example = JSON.parse(readFileSync(join(import.meta.dirname, 'example.context.json'), 'utf8'))
const context: Context = (name) => example[name]
const outdir = mkdtempSync(join(tmpdir(), 'isthmus-cdk-'))
afterAll(() => rmSync(outdir, { recursive: true, force: true }))

interface Statement {
  readonly Action: string | readonly string[]
  readonly Resource: unknown
  readonly Condition?: unknown
}

/** Of every policy in a template, also of those within roles. */
function statementsOf(template: Template): Statement[] {
  const policies = Object.values(template.findResources('AWS::IAM::Policy')).map(({ Properties }) => Properties)
  const roles = Object.values(template.findResources('AWS::IAM::Role')).flatMap(
    ({ Properties }) => Properties.Policies ?? [],
  )
  return [...policies, ...roles].flatMap(({ PolicyDocument }) => PolicyDocument.Statement as Statement[])
}

const actionsOf = (statements: readonly Statement[]) => statements.flatMap(({ Action }) => Action)

describe('the control plane', () => {
  let template: Template
  const synth = (id: string, inputs = controlPlaneInputs(context)!) => {
    const code = join(outdir, 'code')
    mkdirSync(code, { recursive: true })
    writeFileSync(join(code, 'index.mjs'), 'export const handler = () => {}\n')
    const app = new App({ outdir: join(outdir, id) })
    return Template.fromStack(new ControlPlaneStack(app, 'Control', { inputs, code }))
  }
  beforeAll(() => {
    template = synth('control')
  })

  test('is the function that the SAM template describes', () => {
    const text = readFileSync(join(root, 'infra/lambda/template.yaml'), 'utf8')
    const { Properties: sam } = parse(text, { logLevel: 'silent' }).Resources.Control
    template.hasResourceProperties('AWS::Lambda::Function', {
      Handler: sam.Handler,
      Runtime: sam.Runtime,
      Architectures: sam.Architectures,
      MemorySize: sam.MemorySize,
      Timeout: sam.Timeout,
      ReservedConcurrentExecutions: 20,
      Layers: [example.control.secretsExtensionArn],
      Environment: { Variables: { SECRET_ID: example.control.secretArn, ISTHMUS_AWS_NETWORKS: 'main' } },
      VpcConfig: { SubnetIds: example.control.subnetIds, SecurityGroupIds: example.control.securityGroupIds },
    })
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: sam.Events.Tick.Properties.Schedule,
      Targets: [{ RetryPolicy: { MaximumRetryAttempts: sam.Events.Tick.Properties.RetryPolicy.MaximumRetryAttempts } }],
    })
    template.hasResourceProperties('AWS::ApiGatewayV2::Integration', { PayloadFormatVersion: '2.0' })
    template.hasResourceProperties('AWS::ApiGatewayV2::Route', { RouteKey: '$default' })
    template.hasOutput('Url', {})
  })

  test('may do at AWS what the policy of the project says and what a function needs, by name', () => {
    const policy = JSON.parse(readFileSync(join(root, 'infra/aws/control-policy.json'), 'utf8'))
    const own = ['secretsmanager:GetSecretValue', 'logs:CreateLogStream', 'logs:PutLogEvents']
    const actions = actionsOf(statementsOf(template))
    expect(new Set(actions)).toEqual(new Set([...own, ...actionsOf(policy.Statement)]))
    expect(actions.filter((action) => action.includes('*'))).toEqual([])
  })

  test('may not call EC2 where no network is named', () => {
    const { awsNetworks: _, ...rest } = controlPlaneInputs(context)!
    const without = synth('without', rest)
    expect(actionsOf(statementsOf(without)).filter((action) => action.startsWith('ec2:'))).toEqual([])
    without.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: { ISTHMUS_AWS_NETWORKS: Match.absent() } },
    })
  })
})

describe('a connector', () => {
  let template: Template
  let bundle: string
  beforeAll(() => {
    const app = new App({ outdir: join(outdir, 'connector') })
    template = Template.fromStack(new ConnectorStack(app, 'Connector', { inputs: connectorInputs(context)! }))
    const assets = JSON.parse(readFileSync(join(outdir, 'connector/Connector.assets.json'), 'utf8'))
    const paths = Object.values<{ source: { path: string; packaging: string } }>(assets.files).map(
      ({ source }) => source,
    )
    bundle = join(outdir, 'connector', paths.find(({ packaging }) => packaging === 'zip')!.path)
  })

  test('brings along what its instance installs', () => {
    const script = readFileSync(join(bundle, 'infra/connector/systemd/install.sh'), 'utf8')
    const parts = script.match(/^for part in (.+); do$/m)![1]!.split(' ')
    expect(parts.filter((part) => !existsSync(join(bundle, part)))).toEqual([])
    const deep = [
      'connector/core/ike/endpoint.ts',
      'control/entry/node.ts',
      'wasm/assembly/index.ts',
      'infra/connector/ec2',
    ]
    expect(deep.filter((path) => !existsSync(join(bundle, path)))).toEqual([])
    expect(['node_modules', '.git', 'test', 'infra/cdk'].filter((path) => existsSync(join(bundle, path)))).toEqual([])
  })

  test('is one instance, replaced when it fails, by IMDSv2 only, on encrypted disks', () => {
    template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      MinSize: '1',
      MaxSize: '1',
      VPCZoneIdentifier: [example.connector.subnetId],
    })
    template.hasResource('AWS::AutoScaling::AutoScalingGroup', {
      UpdatePolicy: { AutoScalingRollingUpdate: { MinInstancesInService: 0 } },
    })
    template.hasResourceProperties('AWS::EC2::LaunchTemplate', {
      LaunchTemplateData: {
        MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
        BlockDeviceMappings: [{ Ebs: { Encrypted: true } }],
      },
    })
    template.hasResource('AWS::EC2::Volume', { DeletionPolicy: 'Snapshot', Properties: { Encrypted: true } })
  })

  test('lets in IKE and ESP of its peers, and the VPC', () => {
    const [peer] = example.connector.peers
    const udp = (port: number) => Match.objectLike({ CidrIp: peer, IpProtocol: 'udp', FromPort: port, ToPort: port })
    template.hasResourceProperties('AWS::EC2::SecurityGroup', {
      SecurityGroupIngress: [
        udp(500),
        udp(4500),
        Match.objectLike({ CidrIp: peer, IpProtocol: '50' }),
        Match.objectLike({ CidrIp: example.connector.vpcCidr, IpProtocol: '-1' }),
      ],
    })
  })

  test('has a route-table entry to each network of the other sites, to what does not check addresses', () => {
    template.resourceCountIs('AWS::EC2::Route', 2)
    for (const prefix of example.connector.prefixes) {
      template.hasResourceProperties('AWS::EC2::Route', {
        RouteTableId: example.connector.routeTableIds[0],
        DestinationCidrBlock: prefix,
        NetworkInterfaceId: { Ref: Object.keys(template.findResources('AWS::EC2::NetworkInterface'))[0] },
      })
    }
    template.hasResourceProperties('AWS::EC2::NetworkInterface', { SourceDestCheck: false })
  })

  test('may do what its boot script calls, on what is its own, and nothing else', () => {
    const script = readFileSync(join(root, 'infra/connector/ec2/boot.sh'), 'utf8')
    const calls = [...script.matchAll(/\baws (ec2|secretsmanager|s3) ([a-z-]+)/g)].map(([, service, verb]) =>
      service === 's3' && verb === 'cp' ? 's3:GetObject' : `${service}:${pascal(verb!)}`,
    )
    const statements = statementsOf(template)
    expect(new Set(actionsOf(statements))).toEqual(new Set(calls))
    const text = ({ Resource }: Statement) => JSON.stringify(Resource)
    const broad = statements.filter((each) => /\*"/.test(text(each)))
    expect(broad).toHaveLength(1)
    expect(broad[0]!.Condition).toEqual({ StringEquals: { 'aws:ResourceTag/isthmus:connector': 'Connector' } })
    template.hasResourceProperties('AWS::AutoScaling::AutoScalingGroup', {
      Tags: Match.arrayWith([{ Key: 'isthmus:connector', Value: 'Connector', PropagateAtLaunch: true }]),
    })
  })

  test('tells its instance everything that the boot script asks for', () => {
    const script = readFileSync(join(root, 'infra/connector/ec2/boot.sh'), 'utf8')
    const [, head] = script.match(/User data sets, before it: ([\s\S]+?)\n# It ends/)!
    const names = head!.match(/\b[A-Z_]{6,}\b/g)!
    const [launch] = Object.values(template.findResources('AWS::EC2::LaunchTemplate'))
    const userData = JSON.stringify(launch!.Properties.LaunchTemplateData.UserData)
    expect(names).toEqual(['REGION', 'BUNDLE', 'SECRET', 'VOLUME', 'ALLOCATION', 'ROUTE_TABLES', 'PREFIXES'])
    for (const name of names) expect(userData).toMatch(new RegExp(`(^|\\\\n)${name}='`))
    expect(userData).toContain('set -eu')
  })
})

describe('the context', () => {
  test('may leave either stack out, and may be text', () => {
    expect(connectorInputs(() => undefined)).toBeUndefined()
    expect(controlPlaneInputs(() => undefined)).toBeUndefined()
    expect(connectorInputs(() => JSON.stringify(example.connector))).toEqual(connectorInputs(context))
  })

  test.each([
    ['a CIDR with a quote', { prefixes: ["10.0.0.0/8'; reboot; '"] }, 'connector.prefixes'],
    ['no route table', { routeTableIds: [] }, 'connector.routeTableIds'],
    ['a zone that is a region', { availabilityZone: 'eu-central-1' }, 'connector.availabilityZone'],
    ['a list that is a text', { peers: '198.51.100.7/32' }, 'connector.peers'],
    ['nothing in place of a subnet', { subnetId: undefined }, 'connector.subnetId'],
    ['a type with a space', { instanceType: 't4g small' }, 'connector.instanceType'],
  ])('%s is refused by name', (_, change, name) => {
    expect(() => connectorInputs(() => ({ ...example.connector, ...change }))).toThrow(name)
  })
})

function pascal(verb: string): string {
  return verb.replace(/(^|-)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())
}
