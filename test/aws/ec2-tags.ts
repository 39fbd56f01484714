/** Tags, and filters of lists. */
import { Ec2Error } from './ec2-error.ts'
import type { Account, Tagged } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

type TagList = { Key: string; Value: string }[]

export function newTags({ TagSpecifications = [] }: Fields, type: string): TagList {
  const all = TagSpecifications as unknown as readonly { ResourceType: string; Tags: TagList }[]
  const stranger = all.find(({ ResourceType }) => ResourceType !== type)
  if (stranger !== undefined)
    throw new Ec2Error(
      'InvalidParameterValue',
      `'${stranger.ResourceType}' is not a valid taggable resource type for this operation.`,
    )
  return all.flatMap(({ Tags }) => Tags.map(({ Key, Value }) => ({ Key, Value })))
}

/** Those that all filters let through. `fields`: by the filters' names, what each has. */
export function matching<T extends Tagged>(
  { Filters = [] }: Fields,
  all: readonly T[],
  fields: (item: T) => Readonly<Record<string, readonly string[]>>,
): T[] {
  const filters = Filters as unknown as readonly { Name: string; Values: readonly string[] }[]
  return all.filter((item) =>
    filters.every(({ Name, Values }) => {
      const has = Name.startsWith('tag:')
        ? item.tags.filter(({ Key }) => Key === Name.slice(4)).map(({ Value }) => Value)
        : Name === 'tag-key'
          ? item.tags.map(({ Key }) => Key)
          : fields(item)[Name]
      if (has === undefined) throw new Ec2Error('InvalidParameterValue', `The filter '${Name}' is invalid`)
      return has.some((value) => Values.includes(value))
    }),
  )
}

export function changeTags(account: Account, { Resources, Tags }: Fields, add: boolean): Fields {
  const all: Tagged[] = [
    ...account.vpcs,
    ...account.tables,
    ...account.customerGateways,
    ...account.vpnGateways,
    ...account.transitGateways,
    ...account.vpnConnections,
  ]
  for (const id of Resources as readonly string[]) {
    const resource = all.find((each) => each.id === id && each.deletedAt === undefined)
    if (resource === undefined) throw new Ec2Error('InvalidID', `The ID '${id}' is not valid`)
    const keys = (Tags as TagList).map(({ Key }) => Key)
    const kept = resource.tags.filter(({ Key }) => !keys.includes(Key))
    resource.tags = add ? [...kept, ...(Tags as TagList)] : kept
  }
  return {}
}
