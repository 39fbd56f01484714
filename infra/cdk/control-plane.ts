/** The control plane on Lambda, over a PostgreSQL that is there already: what infra/lambda/template.yaml is for SAM. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import { type ISecurityGroup, type IVpc, SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { ManagedPolicy, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Architecture, Code, Function as Lambda, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import type { ControlPlaneInputs } from './inputs.ts'

const CONTROL_POLICY = join(import.meta.dirname, '../aws/control-policy.json')

export interface ControlPlaneProps extends StackProps {
  readonly inputs: ControlPlaneInputs
  /** Folder with the bundle of infra/lambda/build.ts. */
  readonly code: string
}

export class ControlPlaneStack extends Stack {
  constructor(scope: Construct, id: string, props: ControlPlaneProps) {
    super(scope, id, props)
    const { inputs } = props
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    })
    const control = new Lambda(this, 'Control', {
      description: 'Isthmus control plane',
      code: Code.fromAsset(props.code),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: 512,
      timeout: Duration.seconds(30),
      reservedConcurrentExecutions: inputs.concurrency,
      layers: [LayerVersion.fromLayerVersionArn(this, 'SecretsExtension', inputs.secretsExtensionArn)],
      role: this.#role(inputs, logGroup),
      logGroup,
      ...this.#place(inputs),
      environment: {
        SECRET_ID: inputs.secretArn,
        ...(inputs.awsNetworks === undefined ? {} : { ISTHMUS_AWS_NETWORKS: inputs.awsNetworks }),
      },
    })
    const api = new HttpApi(this, 'Api', { defaultIntegration: new HttpLambdaIntegration('Requests', control) })
    new Rule(this, 'Tick', {
      description: 'Rotations whose time is up, policies that are due, runs at AWS.',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(control, { retryAttempts: 0 })],
    })
    new CfnOutput(this, 'Url', { value: api.apiEndpoint, description: 'Where connectors and people reach it.' })
  }

  #role({ secretArn, awsNetworks }: ControlPlaneInputs, logs: LogGroup): Role {
    const own = new PolicyDocument({
      statements: [
        new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: [secretArn] }),
        new PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [logs.logGroupArn],
        }),
      ],
    })
    const clouds = () => PolicyDocument.fromJson(JSON.parse(readFileSync(CONTROL_POLICY, 'utf8')))
    return new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      // Network interfaces in the VPC have no names before they are made.
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('service-role/AWSLambdaENIManagementAccess')],
      inlinePolicies: { own, ...(awsNetworks === undefined ? {} : { clouds: clouds() }) },
    })
  }

  #place({ vpcId, subnetIds, securityGroupIds }: ControlPlaneInputs): PlaceInVpc {
    return {
      // Which zones the subnets are in does not matter to the function, but the construct wants to be told.
      vpc: Vpc.fromVpcAttributes(this, 'Vpc', { vpcId, availabilityZones: ['any'] }),
      vpcSubnets: { subnets: subnetIds.map((id) => Subnet.fromSubnetId(this, id, id)) },
      securityGroups: securityGroupIds.map((id) => SecurityGroup.fromSecurityGroupId(this, id, id)),
    }
  }
}

interface PlaceInVpc {
  readonly vpc: IVpc
  readonly vpcSubnets: { readonly subnets: ReturnType<typeof Subnet.fromSubnetId>[] }
  readonly securityGroups: ISecurityGroup[]
}
