/** What the middleware leaves for those behind it. */
export interface AppEnv {
  Variables: {
    requestId: string
    /** Who asked, once that is known. */
    actor?: string
    /** Values of RateLimit-Policy and RateLimit. */
    rateLimit?: { readonly policy: string; readonly state: string }
  }
}
