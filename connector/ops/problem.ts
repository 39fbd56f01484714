/** Errors of the local API, as RFC 9457 problem documents with the remedy as an extension member. */

export interface ProblemDocument {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly remedy: string
}

/** Thrown by a route; becomes the answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly document: ProblemDocument

  constructor(status: number, code: string, detail: string, remedy: string) {
    super(detail)
    this.document = { type: 'about:blank', title: TITLES.get(status) ?? 'Error', status, code, detail, remedy }
  }
}

const TITLES: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [409, 'Conflict'],
  [413, 'Content Too Large'],
  [415, 'Unsupported Media Type'],
  [500, 'Internal Server Error'],
])
