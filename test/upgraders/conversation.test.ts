/** What is said to a device and made of its answers, one script at a time, without a device. */
import { createHash } from 'node:crypto'
import { describe, expect, it, test } from 'vitest'
import { ReflashError } from '../../src/core/errors.ts'
import type { ExecOptions, ExecResult, Session, UploadOptions } from '../../src/ports/connector.ts'
import { readFrames } from '../../src/upgraders/openwrt/answer.ts'
import { memoryReserveBytes } from '../../src/upgraders/openwrt/checks.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { scripts } from '../../src/upgraders/openwrt/scripts.ts'
import { contextOf, jobOf } from '../support/router-session.ts'

const { signal } = new AbortController()
const kibibyte = 1024
const image = Buffer.alloc(1024 * kibibyte, 'x')
const job = jobOf(image)
const { sha256 } = job.image
const md5 = createHash('md5').update(image).digest('hex')

type Answer = Partial<ExecResult> | Error

/** A device that has one answer for each script, and for the upload; it keeps what it was asked. */
function deviceThat(answers: Partial<Record<string, Answer>>) {
  const asked: string[][] = []
  const options: ExecOptions[] = []
  const uploads: UploadOptions[] = []
  const answer = (name: string): ExecResult => {
    const given = answers[name] ?? { stdout: '@end\n' }
    if (given instanceof Error) throw given
    return { code: 0, stdout: '', stderr: '', ...given }
  }
  const session: Session = {
    address: '192.0.2.1',
    hostKeys: [],
    exec: async ([, , , ...said], given) => {
      asked.push(said)
      options.push(given)
      return answer(said[0]!)
    },
    upload: async (_command, _content, options) => {
      uploads.push(options)
      asked.push(['upload'])
      return answer('upload')
    },
    close: async () => {},
  }
  return { asked, options, uploads, session }
}

const room = (memoryKib: number, tmpKib = 60_000): string =>
  `@meminfo\nMemAvailable: ${memoryKib} kB\n@tmp\nFilesystem\ntmpfs 65536 1 ${tmpKib} 1% /tmp\n@end\n`
const plenty = { place: { stdout: `@state\nabsent\n${room(60_000)}` } }
const uploading = (answers: Partial<Record<string, Answer>>, options = {}) => {
  const device = deviceThat(answers)
  const told: string[] = []
  const upload = openwrtUpgrader.upload(
    { ...job, options, tell: (line) => told.push(line) },
    device.session,
    contextOf(image),
    signal,
  )
  return { ...device, told, upload }
}
const codeAnd = (code: string, message: string) => ({ code, message })

test('is known by its name', () => {
  expect(openwrtUpgrader.name).toBe('openwrt')
})

test('sends each script on standard input, with its own deadline', async () => {
  const { asked, options, session } = deviceThat({})
  await expect(openwrtUpgrader.probe(session, { commandMs: 1234 }, signal)).rejects.toMatchObject({
    code: 'ProbeInvalid',
  })
  await openwrtUpgrader.log(job, session, signal)
  expect(asked).toEqual([['probe'], ['log']])
  expect(options).toEqual([
    { stdin: scripts.probe, deadlineMs: 1234 },
    { stdin: scripts.log, deadlineMs: 20_000 },
  ])
})

test('tells nobody where nobody listens', async () => {
  const silent = deviceThat({
    place: { stdout: `@state\nabsent\n${room(1)}` },
    'stop-services': { stdout: room(60_000) },
    upload: { stdout: `@sha256 ${sha256}\n@end\n` },
    test: { stdout: '@output\na line\n@exit 0\n@end\n' },
  })
  await openwrtUpgrader.upload(job, silent.session, contextOf(image), signal)
  await openwrtUpgrader.test(job, silent.session, signal)
  const present = deviceThat({ place: { stdout: '@state\npresent\n@end\n' } })
  await openwrtUpgrader.upload(job, present.session, contextOf(image), signal)
  expect(present.asked).toEqual([['place', sha256]])
})

test('checks the board before anything is sent', async () => {
  const probe = { board: 'else', release: {}, upgrading: false }
  await expect(openwrtUpgrader.check(job, probe as never, signal)).rejects.toMatchObject(
    codeAnd('Rejected', 'the image is for tplink,archer-c7-v5; the device is else'),
  )
})

describe('room for the image', () => {
  const neededKib = (image.length + memoryReserveBytes) / kibibyte

  it('is made by stopping services when memory is short, and only then', async () => {
    const place = (kib: number, tmpKib?: number) => ({
      place: { stdout: `@state\nabsent\n${room(kib, tmpKib)}` },
      'stop-services': { stdout: room(neededKib) },
      upload: { stdout: `@sha256 ${sha256}\n@end\n` },
    })
    const short = uploading(place(neededKib - 1))
    await short.upload
    expect(short.asked).toEqual([['place', sha256], ['stop-services'], ['upload']])
    expect(short.told).toEqual(['stopping services to make room for the image'])
    const enough = uploading(place(neededKib, image.length / kibibyte))
    await enough.upload
    expect(enough.asked).toEqual([['place', sha256], ['upload']])
    expect(enough.told).toEqual([])
  })

  it('is not made where that is not allowed', async () => {
    const { upload, asked } = uploading(
      { place: { stdout: `@state\nabsent\n${room(8192)}` } },
      { freeMemory: false },
    )
    await expect(upload).rejects.toMatchObject(
      codeAnd('NoSpace', 'not enough memory: 8.0 MiB available, 9.0 MiB needed'),
    )
    expect(asked).toEqual([['place', sha256]])
  })

  it('lacks in /tmp as well, after all that can be done', async () => {
    const { upload, asked } = uploading({
      place: { stdout: `@state\nabsent\n${room(60_000, 512)}` },
      'stop-services': { stdout: room(60_000, 1023) },
    })
    await expect(upload).rejects.toMatchObject(
      codeAnd('NoSpace', 'not enough room in /tmp: 1.0 MiB available, 1.0 MiB needed'),
    )
    expect(asked).toEqual([['place', sha256], ['stop-services']])
  })

  it('is there where the device does not say how much it has', async () => {
    const { upload, asked } = uploading({ upload: { stdout: `@sha256 ${sha256}\n@end\n` } })
    await upload
    expect(asked).toEqual([['place', sha256], ['upload']])
  })

  it('is not needed when the image is there, and not looked for while an upgrade runs', async () => {
    const present = uploading({ place: { stdout: '@state\npresent\n@end\n' } })
    await present.upload
    expect(present.asked).toEqual([['place', sha256]])
    expect(present.told).toEqual(['the image is on the device already'])
    const { upload, asked } = uploading({ place: { stdout: '@state\nbusy\n@end\n' } })
    await expect(upload).rejects.toMatchObject(
      codeAnd('Busy', 'an upgrade starts or runs on the device already'),
    )
    expect(asked).toEqual([['place', sha256]])
  })
})

describe('an upload', () => {
  it.each<[Partial<ExecResult>, string, string]>([
    [{ code: 8 }, 'Busy', 'an upgrade starts or runs on the device already'],
    [
      { code: 7, stderr: ' No space left on device\n' },
      'NoSpace',
      'the device could not store the image: No space left on device',
    ],
    [{ code: 137 }, 'NoSpace', 'the device could not store the image: exit code 137'],
    [{ code: 1, stderr: 'why\n' }, 'UploadFailed', 'the upload ended with code 1: why'],
    [{ code: 1 }, 'UploadFailed', 'the upload ended with code 1: no reason given'],
    [
      { stdout: '@sha256 abc\n@end\n' },
      'UploadFailed',
      'the image arrived damaged: SHA-256 abc on the device',
    ],
    [{ stdout: '@md5 abc\n@end\n' }, 'UploadFailed', 'the image arrived damaged: MD5 differs'],
    [{ stdout: '@end\n' }, 'UploadFailed', 'the image arrived damaged: MD5 differs'],
  ])('that ends with %j is %s', async (upload, code, message) => {
    await expect(uploading({ ...plenty, upload }).upload).rejects.toMatchObject(codeAnd(code, message))
  })

  it('is adopted by its MD5 where the device knows nothing better, unless an upgrade starts', async () => {
    const known = { ...plenty, upload: { stdout: `@md5 ${md5}\n@end\n` } }
    const { upload, asked } = uploading(known)
    await upload
    expect(asked.at(-1)).toEqual(['adopt', md5, sha256])
    const busy = uploading({ ...known, adopt: { stdout: '@busy\n@end\n' } }).upload
    await expect(busy).rejects.toMatchObject({ code: 'Busy' })
  })

  it('is held back by the throttle, if there is one', async () => {
    const throttle = async (): Promise<void> => {}
    const { uploads, session } = deviceThat({ ...plenty, upload: { stdout: `@sha256 ${sha256}\n@end\n` } })
    await openwrtUpgrader.upload(job, session, { ...contextOf(image), throttle }, signal)
    await openwrtUpgrader.upload(job, session, contextOf(image), signal)
    expect(uploads.map((options) => options.throttle)).toEqual([throttle, undefined])
    expect(uploads[0]).toMatchObject({ deadlineMs: 60_000, sizeBytes: image.length })
  })
})

describe('the test', () => {
  const options = { keepOverlay: true, keepPartitionTable: true }
  const testing = (output: string, exit: string) => {
    const device = deviceThat({ test: { stdout: `@output\n${output}\n${exit}@end\n` } })
    const told: string[] = []
    const telling = { ...job, options, tell: (line: string) => told.push(line) }
    return { ...device, told, result: openwrtUpgrader.test(telling, device.session, signal) }
  }

  it.each([
    ['Image metadata not present', 0, undefined],
    ['', 0, undefined],
    ['', 1, 'Rejected'],
    ['all is well', 1, 'Rejected'],
    ['Image check failed.', 0, undefined],
    ['Invalid option: -o', 1, 'Unsupported'],
    ['No space left on device', 1, 'NoSpace'],
    ['Usage: sysupgrade\nInvalid option: -T', 1, undefined],
  ])('is judged by its exit code, whatever it says: %j with %i', async (output, exitCode, refusal) => {
    const { result } = testing(output, `@exit ${exitCode}\n`)
    if (refusal === undefined) return expect(result).resolves.toBeUndefined()
    return expect(result).rejects.toMatchObject({
      code: refusal,
      message: `sysupgrade refuses the image: ${output === '' ? 'no reason given' : output}`,
    })
  })

  it('that says nothing of its exit is a refusal', async () => {
    await expect(testing('ok', '').result).rejects.toMatchObject({ code: 'Rejected' })
    const { session } = deviceThat({ test: { stdout: '@end\n' } })
    await expect(openwrtUpgrader.test(job, session, signal)).rejects.toMatchObject({
      message: 'sysupgrade refuses the image: no reason given',
    })
  })

  it('has the options of the real run, and is told', async () => {
    const { asked, told, result } = testing('a line', '@exit 0\n')
    await result
    expect(asked).toEqual([['test', '-o', '-p']])
    expect(told).toEqual(['sysupgrade -T: a line'])
  })
})

describe('the start', () => {
  const token = { bootId: 'boot', board: 'toy', revision: 'r1', maxUptimeSeconds: 590 }
  const starting = (answer: Answer, options = {}) => {
    const device = deviceThat({ guard: answer })
    return { ...device, result: openwrtUpgrader.start({ ...job, options }, token, device.session, signal) }
  }

  it('hands the guard all that it compares, then the options', async () => {
    const { asked, result } = starting({ stdout: 'GUARD 0\n' }, { keepOverlay: true })
    expect(await result).toEqual({ kind: 'Started' })
    expect(asked).toEqual([['guard', job.operation, 'boot', 'toy', 'r1', sha256, '590', '-o']])
  })

  it('without an answer may have happened', async () => {
    const { result } = starting(new ReflashError('ConnectionLost', 'the link broke'))
    expect(await result).toEqual({ kind: 'Unknown', message: 'the link broke' })
  })

  it('that is no longer wanted, or meets a bug, says so', async () => {
    await expect(starting(new TypeError('a bug')).result).rejects.toThrow('a bug')
    const aborted = AbortSignal.abort()
    const { session } = deviceThat({ guard: new ReflashError('ConnectionLost', 'broken off') })
    await expect(openwrtUpgrader.start(job, token, session, aborted)).rejects.toThrow('broken off')
  })

  it('is cleared by operation, boot id and latest uptime', async () => {
    const { asked, session } = deviceThat({})
    await openwrtUpgrader.clearStart(job, token, session, signal)
    expect(asked).toEqual([['clear', job.operation, 'boot', '590']])
    const cutOff = deviceThat({ clear: { stdout: '' } })
    await expect(openwrtUpgrader.clearStart(job, token, cutOff.session, signal)).rejects.toThrow('cut off')
  })
})

describe('what was prepared', () => {
  const options = (keepImage: boolean) => ({ keepImage, commandMs: 1000 })

  it('is undone, with or without the image', async () => {
    const { asked, session } = deviceThat({})
    await openwrtUpgrader.abandon(options(true), session, signal)
    await openwrtUpgrader.abandon(options(false), session, signal)
    expect(asked).toEqual([
      ['abandon', 'yes'],
      ['abandon', 'no'],
    ])
  })

  it.each([
    ['the link breaks', new ReflashError('ConnectionLost', 'gone'), 'gone'],
    ['the answer is cut off', { stdout: '' }, 'its answer was cut off'],
    ['a start is under way', { stdout: '@busy\n@end\n' }, 'an upgrade starts or runs on the device already'],
  ])('and is not known to be undone where %s', async (_, answer, says) => {
    const { session } = deviceThat({ abandon: answer })
    await expect(openwrtUpgrader.abandon(options(true), session, signal)).rejects.toThrow(says)
  })
})

test('of the log of a flash the last forty lines are read', async () => {
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`)
  const of = (stdout: string) => openwrtUpgrader.log(job, deviceThat({ log: { stdout } }).session, signal)
  expect(await of(`@log\n${lines.join('\n')}\n@end\n`)).toEqual(lines.slice(10))
  expect(await of('@end\n')).toEqual([])
})

describe('a framed answer', () => {
  const frames = (output: string) => Object.fromEntries(readFrames(output))

  it('has a frame where a line begins with its name, and nowhere else', () => {
    expect(frames('before\n@a one \n two\t\n   \n\nx@b\n@c;d\n@@f\n@e\n@end')).toEqual({
      a: ['one', 'two', 'x@b', '@c;d', '@@f'],
      e: [],
      end: [],
    })
  })

  it('has at most 2000 lines', () => {
    const of = (lines: number) => readFrames(`@a\n${'\n'.repeat(lines - 2)}@end`).has('end')
    expect(of(2000)).toBe(true)
    expect(() => of(2001)).toThrow('the device answered with 2001 lines')
  })
})
