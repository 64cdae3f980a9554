/**
 * A client that never stops asking: one request on a new connection every so many milliseconds, whatever became of the
 * one before. Prints a line for each: what the server said of itself, or `FAILED` and why. Ends on end of input.
 * usage: steady-client URL MILLISECONDS
 */
import { get } from 'node:http';

const [url = '', interval = '20'] = process.argv.slice(2);
const limit = 2000;
let pending = 0;
let ending = false;

const timer = setInterval(request, Number(interval));
process.stdin.resume().on('end', () => {
  ending = true;
  clearInterval(timer);
  endWhenIdle();
});

function request(): void {
  pending += 1;
  let done = false;
  const asked = new Date().toISOString().slice(11, -1);
  const finish = (line: string) => {
    if (done) return;
    done = true;
    pending -= 1;
    process.stdout.write(`${line}\n`);
    endWhenIdle();
  };
  const call = get(url, { agent: false, headers: { connection: 'close' }, timeout: limit }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    response.on('error', (error) => {
      finish(`FAILED ${error.message}, asked ${asked}`);
    });
    response.on('end', () => {
      if (response.statusCode === 200) finish(body.trim());
      else finish(`FAILED status ${response.statusCode ?? 0}, asked ${asked}`);
    });
  });
  call.on('timeout', () => {
    call.destroy(new Error(`no answer within ${limit} ms`));
  });
  call.on('error', (error) => {
    finish(`FAILED ${error.message}, asked ${asked}`);
  });
}

function endWhenIdle(): void {
  if (ending && pending === 0) process.stdin.destroy();
}
