/**
 * A connector in a VPC: one instance, always. The address, the routes and the volume with the connector's identity stay
 * when the instance is replaced; the new one takes them at its first boot (infra/connector/ec2/boot.sh).
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CfnOutput, IgnoreMode, RemovalPolicy, Size, Stack, type StackProps, Tags, Validations } from 'aws-cdk-lib'
import { AutoScalingGroup, UpdatePolicy } from 'aws-cdk-lib/aws-autoscaling'
import {
  AmazonLinuxCpuType,
  BlockDeviceVolume,
  CfnEIP,
  CfnNetworkInterface,
  CfnRoute,
  EbsDeviceVolumeType,
  InstanceType,
  type IVpc,
  LaunchTemplate,
  MachineImage,
  Peer,
  Port,
  Protocol,
  SecurityGroup,
  Subnet,
  UserData,
  Volume,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Asset } from 'aws-cdk-lib/aws-s3-assets'
import type { Construct } from 'constructs'
import type { ConnectorInputs } from './inputs.ts'

const BOOT = join(import.meta.dirname, '../connector/ec2/boot.sh')
const PROJECT = resolve(import.meta.dirname, '../..')
/** What install.sh takes, and nothing that only developers have. */
const TAKEN = ['package.json', 'package-lock.json', 'asconfig.json', 'LICENSE', 'README.md', 'docs', 'protocol', 'wasm']
const EXCLUDE = [
  '/*',
  ...[...TAKEN, 'connector', 'control', 'functions', 'infra'].map((name) => `!/${name}`),
  ...['/infra/*', '!/infra/connector', '*.test.ts', '/wasm/build'],
]
/** By which the instance's role knows the instance. */
const TAG = 'isthmus:connector'

export interface ConnectorProps extends StackProps {
  readonly inputs: ConnectorInputs
  /** Folder that instances install; this project when left out. */
  readonly project?: string
}

/** What outlives an instance. */
interface Lasting {
  readonly address: CfnEIP
  readonly volume: Volume
  readonly bundle: Asset
}

export class ConnectorStack extends Stack {
  constructor(scope: Construct, id: string, props: ConnectorProps) {
    super(scope, id, props)
    const { inputs } = props
    const { vpcId, availabilityZone, subnetId } = inputs
    const vpc = Vpc.fromVpcAttributes(this, 'Vpc', { vpcId, availabilityZones: [availabilityZone] })
    const group = this.#securityGroup(vpc, inputs)
    const lasting = this.#lasting(inputs, props.project ?? PROJECT)
    this.#routes(inputs, group)
    const launchTemplate = new LaunchTemplate(this, 'Template', {
      machineImage: MachineImage.latestAmazonLinux2023({ cpuType: AmazonLinuxCpuType.ARM_64 }),
      instanceType: new InstanceType(inputs.instanceType),
      securityGroup: group,
      role: this.#role(inputs, lasting),
      userData: UserData.custom(this.#userData(inputs, lasting)),
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      // For the first minutes; then it has its own.
      associatePublicIpAddress: true,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: BlockDeviceVolume.ebs(8, { encrypted: true, volumeType: EbsDeviceVolumeType.GP3 }),
        },
      ],
    })
    const instances = new AutoScalingGroup(this, 'Instances', {
      vpc,
      vpcSubnets: { subnets: [Subnet.fromSubnetAttributes(this, 'Subnet', { subnetId, availabilityZone })] },
      launchTemplate,
      minCapacity: 1,
      maxCapacity: 1,
      // The old one goes first: two cannot have one identity.
      updatePolicy: UpdatePolicy.rollingUpdate({ maxBatchSize: 1, minInstancesInService: 0 }),
    })
    Tags.of(instances).add(TAG, id)
    Tags.of(instances).add('Name', id)
    new CfnOutput(this, 'Address', { value: lasting.address.ref, description: 'Endpoint of the site.' })
  }

  #securityGroup(vpc: IVpc, { vpcCidr, peers }: ConnectorInputs): SecurityGroup {
    const group = new SecurityGroup(this, 'Group', { vpc, description: 'Isthmus connector', allowAllOutbound: true })
    for (const cidr of peers) {
      const peer = cidr.includes(':') ? Peer.ipv6(cidr) : Peer.ipv4(cidr)
      group.addIngressRule(peer, Port.udp(500), 'IKE')
      group.addIngressRule(peer, Port.udp(4500), 'IKE and ESP in UDP')
      group.addIngressRule(peer, new Port({ protocol: Protocol.ESP, stringRepresentation: 'ESP' }), 'ESP')
    }
    group.addIngressRule(Peer.ipv4(vpcCidr), Port.allTraffic(), 'from the VPC to the other sites')
    return group
  }

  #lasting({ availabilityZone }: ConnectorInputs, path: string): Lasting {
    const volume = new Volume(this, 'Identity', {
      availabilityZone,
      size: Size.gibibytes(1),
      volumeType: EbsDeviceVolumeType.GP3,
      encrypted: true,
      removalPolicy: RemovalPolicy.SNAPSHOT,
    })
    const reason = 'A volume is in the zone of its instance.'
    Validations.of(volume).acknowledge({ id: 'CloudFormation-Validate::W3010', reason })
    return {
      address: new CfnEIP(this, 'Ip', { domain: 'vpc' }),
      volume,
      bundle: new Asset(this, 'Project', { path, exclude: EXCLUDE, ignoreMode: IgnoreMode.GIT }),
    }
  }

  /**
   * The entries are the stack's, and go with it. They lead to an interface on which nothing is until an instance has
   * taken them over (ec2:ReplaceRoute), and are left alone from then on.
   */
  #routes({ subnetId, routeTableIds, prefixes }: ConnectorInputs, group: SecurityGroup): void {
    const nobody = new CfnNetworkInterface(this, 'Nobody', {
      description: 'Isthmus: target of routes that no instance has taken over yet',
      subnetId,
      groupSet: [group.securityGroupId],
      sourceDestCheck: false,
    })
    for (const routeTableId of routeTableIds) {
      for (const prefix of prefixes) {
        const destination = prefix.includes(':')
          ? { destinationIpv6CidrBlock: prefix }
          : { destinationCidrBlock: prefix }
        const route = { routeTableId, ...destination, networkInterfaceId: nobody.ref }
        new CfnRoute(this, `Route${routeTableId}${prefix}`, route)
      }
    }
  }

  #role({ routeTableIds, secretArn }: ConnectorInputs, { address, volume, bundle }: Lasting): Role {
    const arn = (resource: string, resourceName: string) => this.formatArn({ service: 'ec2', resource, resourceName })
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('ec2.amazonaws.com') })
    const allow = (actions: string[], resources: string[], conditions?: Record<string, unknown>) =>
      role.addToPolicy(new PolicyStatement({ actions, resources, ...(conditions === undefined ? {} : { conditions }) }))
    const own = { StringEquals: { [`aws:ResourceTag/${TAG}`]: this.node.id } }
    const takes = ['ec2:ModifyInstanceAttribute', 'ec2:AttachVolume', 'ec2:AssociateAddress']
    allow(takes, [arn('instance', '*')], own)
    allow(['ec2:AttachVolume'], [arn('volume', volume.volumeId)])
    allow(['ec2:AssociateAddress'], [arn('elastic-ip', address.attrAllocationId)])
    allow(
      ['ec2:ReplaceRoute'],
      routeTableIds.map((id) => arn('route-table', id)),
    )
    allow(['secretsmanager:GetSecretValue'], [secretArn])
    allow(['s3:GetObject'], [bundle.bucket.arnForObjects(bundle.s3ObjectKey)])
    return role
  }

  #userData(inputs: ConnectorInputs, { address, volume, bundle }: Lasting): string {
    const settings = {
      REGION: this.region,
      BUNDLE: bundle.s3ObjectUrl,
      SECRET: inputs.secretArn,
      VOLUME: volume.volumeId,
      ALLOCATION: address.attrAllocationId,
      ROUTE_TABLES: inputs.routeTableIds.join(' '),
      PREFIXES: inputs.prefixes.join(' '),
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'`)
    return ['#!/bin/sh', ...lines, readFileSync(BOOT, 'utf8')].join('\n')
  }
}
