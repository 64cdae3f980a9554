#!/usr/bin/env node
import { main } from '../cli/directoradm-process.ts';

// `directoradm -L | head` closes the pipe early: nobody is left to print to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await main(process.argv);
