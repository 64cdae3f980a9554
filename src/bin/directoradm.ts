#!/usr/bin/env node
import { main } from '../cli/directoradm-process.ts';

// `directoradm -L | head` closes the pipe early: nobody is left to print to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  // A full disk, say. ipvsadm does not look; a table that was saved by halves is worse.
  process.stderr.write(`Can't write: ${error.message}\n`);
  process.exit(1);
});
void main(process.argv).then((status) => (process.exitCode = status));
