/** The inside of a worker thread: parses the text that it was started with. */
import { parentPort, workerData } from 'node:worker_threads'
import { parseFile } from './parse-file.ts'

parentPort?.postMessage(parseFile(String(workerData)))
