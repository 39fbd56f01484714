export { blockOf, partOf, prefixAt, prefixesOf, wordsOf } from '../../../../protocol/prefix-block.ts'
