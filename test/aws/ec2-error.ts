/** An error of the EC2 API: a code that programs know, a sentence, and an HTTP status. */
export class Ec2Error extends Error {
  override readonly name = 'Ec2Error'
  readonly code: string
  readonly status: number

  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

export function invalid(name: string, value: unknown, why: string): Ec2Error {
  return new Ec2Error('InvalidParameterValue', `Value (${String(value)}) for parameter ${name} is invalid. ${why}`)
}

export function missing(name: string): Ec2Error {
  return new Ec2Error('MissingParameter', `The request must contain the parameter ${name}`)
}
