/** Tags: with what is made, later, and by themselves. "Tag restrictions" of the EC2 user guide. */
import { Ec2Error } from './ec2-error.ts'
import { matching, page } from './ec2-lists.ts'
import { type Account, allResources, isVisible, type Tag, type Tagged } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

const MOST_TAGS = 50
const MOST_KEY = 128
const MOST_VALUE = 256

/** Of what is made with them. */
export function newTags({ TagSpecifications = [] }: Fields, type: string): Tag[] {
  const specifications = TagSpecifications as readonly Fields[]
  for (const { ResourceType } of specifications) {
    if (ResourceType === type) continue
    const why = `'${String(ResourceType)}' is not a valid taggable resource type for this operation.`
    throw new Ec2Error('InvalidParameterValue', why)
  }
  if (specifications.length > 1) {
    throw new Ec2Error('InvalidParameterValue', `'${type}' is specified more than once in TagSpecification.`)
  }
  return addedTo(
    [],
    specifications.flatMap(({ Tags = [] }) => tagsOf(Tags as readonly Fields[])),
  )
}

function tagsOf(list: readonly Fields[]): Tag[] {
  const tags = list.map(({ Key, Value = '' }) => ({ Key: String(Key ?? ''), Value: String(Value) }))
  const twice = tags.find(({ Key }, index) => tags.findIndex((each) => each.Key === Key) !== index)
  if (twice !== undefined) {
    throw new Ec2Error('InvalidParameterValue', `Duplicate tag key '${twice.Key}' specified.`)
  }
  return tags
}

function addedTo(tags: readonly Tag[], more: readonly Tag[]): Tag[] {
  for (const { Key, Value } of more) {
    if (Key === '') throw new Ec2Error('InvalidParameterValue', 'Tag keys cannot be empty.')
    if (/^aws:/i.test(Key)) {
      throw new Ec2Error('InvalidParameterValue', `Tag keys starting with 'aws:' are reserved for internal use`)
    }
    if (Key.length > MOST_KEY || Value.length > MOST_VALUE) {
      throw new Ec2Error(
        'InvalidParameterValue',
        `Tag key and value have at most ${MOST_KEY} and ${MOST_VALUE} characters`,
      )
    }
  }
  const all = [...tags.filter(({ Key }) => more.every((each) => each.Key !== Key)), ...more]
  if (all.length > MOST_TAGS) throw new Ec2Error('TagLimitExceeded', `A resource has at most ${MOST_TAGS} tags.`)
  return all
}

export function createTags(account: Account, { Resources, Tags }: Fields): Fields {
  const resources = taggable(account, Resources as readonly string[])
  const changed = resources.map(({ tags }) => addedTo(tags, tagsOf(Tags as readonly Fields[])))
  for (const [index, resource] of resources.entries()) resource.tags = changed[index]!
  return {}
}

/** Without a value a tag goes whatever its value is; without tags, all go. */
export function deleteTags(account: Account, { Resources, Tags }: Fields): Fields {
  for (const resource of taggable(account, Resources as readonly string[])) {
    const given = Tags as readonly Fields[] | undefined
    const goes = (tag: Tag) =>
      given === undefined ||
      given.some(({ Key, Value }) => Key === tag.Key && (Value === undefined || Value === tag.Value))
    resource.tags = resource.tags.filter((tag) => !goes(tag))
  }
  return {}
}

function taggable(account: Account, ids: readonly string[]): Tagged[] {
  return ids.map((id) => {
    const resource = allResources(account).find((each) => each.id === id && each.deletedAt === undefined)
    if (resource === undefined || !isVisible(account, resource)) {
      throw new Ec2Error('InvalidID', `The ID '${id}' is not valid`)
    }
    return resource
  })
}

const TYPES: Readonly<Record<string, string>> = {
  vpc: 'vpc',
  subnet: 'subnet',
  rtb: 'route-table',
  cgw: 'customer-gateway',
  vgw: 'vpn-gateway',
  tgw: 'transit-gateway',
  vpn: 'vpn-connection',
}

export function describeTags(account: Account, input: Fields): Fields {
  const all = allResources(account)
    .filter((each) => isVisible(account, each) && each.deletedAt === undefined)
    .flatMap(({ id, tags }) =>
      tags.map(({ Key, Value }) => ({
        ...{ id: `${id}/${Key}`, resource: id, type: TYPES[id.split('-')[0]!] ?? '' },
        ...{ key: Key, value: Value, tags: [{ Key, Value }], visibleAt: 0 },
      })),
    )
  const found = matching(input, all, {
    'resource-id': ({ resource }) => [resource],
    'resource-type': ({ type }) => [type],
    key: ({ key }) => [key],
    value: ({ value }) => [value],
  })
  const { items, rest } = page(account, input, found, { least: 5, most: 1_000 })
  const Tags = items.map(({ resource, type, key, value }) => {
    return { ResourceId: resource, ResourceType: type, Key: key, Value: value }
  })
  return { Tags, ...rest }
}
