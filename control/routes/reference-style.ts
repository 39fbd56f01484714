/** Style of the reference page; there is nothing else to load. */
export const REFERENCE_STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --dim: #777; --accent: #0b6e8f }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --accent: #5cc3e4 } }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 17rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.2rem; border-right: 1px solid var(--line); font-size: 13px }
nav ul { list-style: none; margin: 0 0 .9rem; padding: 0 } nav h2 { font-size: 13px; margin: 0 0 .2rem; border: 0 }
main { padding: 1.5rem 2.5rem 6rem; max-width: 62rem }
a { color: var(--accent); text-decoration: none } a:hover { text-decoration: underline }
h1 { margin-top: 0 } h2 { margin: 3rem 0 1rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem }
h3 { margin: 0 } h4 { margin: 1.1rem 0 .3rem; font-size: 13px; color: var(--dim) }
section.op, section.schema { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.2rem; margin: 1rem 0 }
code, .path { font: 13px/1.5 ui-monospace, monospace } code { background: var(--soft); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere }
.method { font: 700 12px ui-monospace, monospace; padding: .15rem .5rem; border-radius: 4px; color: #fff; margin-right: .5rem }
.get { background: #2b7a4b } .post { background: #2f62b5 } .put { background: #9a6a12 } .delete { background: #b03a3a }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line) }
th { font-size: 12px; color: var(--dim); border: 0 } td:first-child { white-space: nowrap } .req { color: #b03a3a }
.dim { color: var(--dim); font-size: 13px } .path { overflow-wrap: anywhere }
:target { outline: 2px solid var(--accent); outline-offset: 3px }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto; border: 0 } main { padding: 1rem } }
`
