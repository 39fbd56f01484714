/** What the stacks are told: context of the app (`cdk.context.json`, or `-c name=value`), with words for what is wrong. */

/** As the app's context gives it: a value of JSON, or the text of `-c`. */
export type Context = (name: string) => unknown

export interface ControlPlaneInputs {
  readonly vpcId: string
  /** From which the database, Secrets Manager and, with `awsNetworks`, the EC2 API are reached. */
  readonly subnetIds: readonly string[]
  readonly securityGroupIds: readonly string[]
  /** Secret whose JSON has databaseUrl, keyring and adminToken. */
  readonly secretArn: string
  /** Layer of the AWS Parameters and Secrets Lambda Extension for arm64 in the region. */
  readonly secretsExtensionArn: string
  /** Instances at most; each holds one session of the database. */
  readonly concurrency: number
  /** Networks for which AWS may be called, divided by commas, or `all`; without it the function may not call EC2. */
  readonly awsNetworks?: string
}

export interface ConnectorInputs {
  readonly vpcId: string
  readonly vpcCidr: string
  /** A public one: it leads to the Internet by itself. */
  readonly subnetId: string
  /** Of the subnet: the identity's volume is there too. */
  readonly availabilityZone: string
  /** Those that are to lead to the other sites. */
  readonly routeTableIds: readonly string[]
  /** Networks of the other sites. */
  readonly prefixes: readonly string[]
  /** Outer addresses of the other sites' gateways, as CIDRs. */
  readonly peers: readonly string[]
  /** Secret whose JSON has url and token: where the control plane is, and a join token of the site. */
  readonly secretArn: string
  /** Of arm64. */
  readonly instanceType: string
}

/** Undefined where the app is not asked for that stack: nothing of it stands in the context. */
export function controlPlaneInputs(context: Context): ControlPlaneInputs | undefined {
  const read = reader(context, 'control')
  if (!read.isAsked) return undefined
  const awsNetworks = read.optional('awsNetworks')
  return {
    vpcId: read.text('vpcId', /^vpc-/),
    subnetIds: read.list('subnetIds', /^subnet-/),
    securityGroupIds: read.list('securityGroupIds', /^sg-/),
    secretArn: read.text('secretArn', /^arn:/),
    secretsExtensionArn: read.text('secretsExtensionArn', /^arn:/),
    concurrency: Number(read.optional('concurrency', /^[1-9]\d{0,3}$/) ?? '20'),
    ...(awsNetworks === undefined ? {} : { awsNetworks }),
  }
}

export function connectorInputs(context: Context): ConnectorInputs | undefined {
  const read = reader(context, 'connector')
  if (!read.isAsked) return undefined
  return {
    vpcId: read.text('vpcId', /^vpc-/),
    vpcCidr: read.text('vpcCidr', CIDR),
    subnetId: read.text('subnetId', /^subnet-/),
    availabilityZone: read.text('availabilityZone', /^[a-z]{2}(-[a-z]+)+-\d+[a-z]$/),
    routeTableIds: read.list('routeTableIds', /^rtb-/),
    prefixes: read.list('prefixes', CIDR),
    peers: read.list('peers', CIDR),
    secretArn: read.text('secretArn', /^arn:/),
    instanceType: read.optional('instanceType', /^[a-z0-9-]+\.[a-z0-9]+$/) ?? 't4g.small',
  }
}

/** AWS says more exactly what is wrong with one; a space or a quote would be more than a CIDR in user data. */
const CIDR = /^[0-9a-fA-F.:]+\/\d{1,3}$/

function reader(context: Context, stack: string) {
  const raw = context(stack)
  const values = (typeof raw === 'string' ? JSON.parse(raw) : (raw ?? {})) as Readonly<Record<string, unknown>>
  const wrong = (name: string, is: unknown): Error =>
    new Error(`the context's ${stack}.${name} does not fit: ${JSON.stringify(is)}; see infra/cdk/README.md`)
  const text = (name: string, pattern: RegExp): string => {
    const value = values[name]
    if (typeof value !== 'string' || !pattern.test(value)) throw wrong(name, value)
    return value
  }
  return {
    isAsked: raw !== undefined,
    text,
    optional: (name: string, pattern = /./): string | undefined =>
      values[name] === undefined ? undefined : text(name, pattern),
    list: (name: string, pattern: RegExp): readonly string[] => {
      const value = values[name]
      const fits = Array.isArray(value) && value.length > 0
      if (!fits || !value.every((each) => typeof each === 'string' && pattern.test(each))) throw wrong(name, value)
      return value as string[]
    },
  }
}
