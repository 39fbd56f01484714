/** Reads unit files, as far as the tests of ours need it (systemd.syntax(7)). */

/** Values by `Section.Key`, in order; a key that stands several times has several. */
export type Unit = ReadonlyMap<string, readonly string[]>

/** Throws where a line is none of a comment, a section and an assignment. */
export function readUnit(text: string): Unit {
  const unit = new Map<string, string[]>()
  let section = ''
  for (const line of text.split('\n')) {
    if (line.trim() === '' || /^[#;]/.test(line)) continue
    const header = line.match(/^\[(\w+)\]$/)
    const assignment = line.match(/^(\w+)=(.*)$/)
    if (header !== null) section = header[1]!
    else if (assignment !== null && section !== '') {
      const key = `${section}.${assignment[1]}`
      unit.set(key, [...(unit.get(key) ?? []), assignment[2]!])
    } else throw new SyntaxError(`neither section nor assignment: ${line}`)
  }
  return unit
}

/** The words of a key that lists some, such as capabilities; none where it is absent or empty. */
export function wordsOf(unit: Unit, key: string): string[] {
  return (unit.get(key) ?? []).flatMap((value) => value.split(/\s+/)).filter((word) => word !== '')
}
