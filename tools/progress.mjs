// One visible line a step: what it does, the seconds that it took so far, and how it ended.
const live = Boolean(process.stdout.isTTY) && !process.env.CI

/**
 * Runs one step and shows it. `run(note)` does the work; what it gives to `note` is shown behind the name.
 * `upToDate` tells whether there is nothing to do.
 */
export async function step({ name, upToDate, run }) {
  const line = name.padEnd(58)
  if (await upToDate()) return void console.log(`✓ ${line} up to date`)
  const display = live ? spinner(line) : plain(line)
  try {
    await run(display.note)
    display.end("✓")
  } catch (error) {
    display.end("✗")
    throw error
  }
}

/** A log gets a sign of life now and then; an error brings the last notes along. */
function plain(line) {
  const started = Date.now()
  let note = ""
  console.log(`… ${line}`)
  const timer = setInterval(() => console.log(`… ${line} ${seconds(started)}  ${note}`), 30_000)
  return {
    note: text => {
      note = text
    },
    end: mark => {
      clearInterval(timer)
      console.log(`${mark} ${line} ${seconds(started)}`)
    }
  }
}

function spinner(line) {
  const started = Date.now()
  let note = ""
  const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
  let frame = 0
  const width = () => Math.max(20, (process.stdout.columns ?? 80) - 1)
  const draw = () => {
    const text = `${frames[frame++ % frames.length]} ${line} ${seconds(started)}  ${note}`
    process.stdout.write(`\r\x1b[K${text.slice(0, width())}`)
  }
  const timer = setInterval(draw, 120)
  draw()
  return {
    note: text => {
      note = text
    },
    end: mark => {
      clearInterval(timer)
      process.stdout.write(`\r\x1b[K${mark} ${line} ${seconds(started)}\n`)
    }
  }
}

function seconds(started) {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`
}
