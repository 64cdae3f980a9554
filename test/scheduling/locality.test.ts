/** What lblc and lblcr remember, where no recording of the kernel reaches: a day's idleness, slots that change hands. */
import t from 'tap';
import { flowFrom, Lab } from './lab.ts';

const DAY = 86_400;
const at = (now: number) => ({ ...flowFrom(2), now });

for (const scheduler of ['lblc', 'lblcr']) {
  t.test(`${scheduler}: an address that nobody asked for in a day is forgotten`, (t) => {
    const lab = new Lab(scheduler);
    for (const server of [1, 2]) lab.add(server, { weight: 1 });
    t.equal(lab.pick(at(10)), 2);
    lab.pool.addInactive(lab.slot(2), 1);
    t.equal(lab.pick(at(10 + DAY)), 2, 'just in time; and it is used again');
    t.equal(lab.pick(at(10 + 2 * DAY)), 2);
    t.equal(lab.pick(at(11 + 3 * DAY)), 1, 'now the least loaded takes over');
    t.end();
  });

  t.test(`${scheduler}: a new server in the slot of the remembered one is not taken for it`, (t) => {
    const lab = new Lab(scheduler);
    for (const server of [1, 2]) lab.add(server, { weight: 1 });
    t.equal(lab.pick(at(1)), 2);
    const slot = lab.slot(2);
    lab.delete(2);
    // the pool gives slots away in turn
    let server = 3;
    lab.add(server, { weight: 1 });
    while (lab.slot(server) !== slot) {
      lab.delete(server++);
      lab.add(server, { weight: 1 });
    }
    lab.pool.addInactive(slot, 1);
    t.equal(lab.pick(at(2)), 1);
    t.end();
  });

  t.test(`${scheduler}: a server that comes back to its connections is remembered`, (t) => {
    const lab = new Lab(scheduler);
    for (const server of [1, 2]) lab.add(server, { weight: 1 });
    t.equal(lab.pick(at(1)), 2);
    lab.pool.addInactive(lab.slot(2), 1);
    lab.delete(2);
    lab.bringBack(2, { weight: 1 });
    t.equal(lab.pick(at(2)), 2);
    t.end();
  });

  t.test(`${scheduler}: a server that the engine cannot forward to is turned down`, (t) => {
    const lab = new Lab(scheduler);
    for (const server of [1, 2]) lab.add(server, { weight: 1 });
    t.equal(lab.pick(at(1)), 2);
    lab.pool.setDestination(lab.slot(2), { weight: 1, upper: 0, lower: 0, barred: true });
    t.equal(lab.pick(at(2)), 1);
    t.end();
  });
}

t.test('lblcr does not take what lblc noted for members', (t) => {
  const lab = new Lab('lblc');
  for (const server of [1, 2, 3]) lab.add(server, { weight: 1 });
  t.equal(lab.pick(at(1)), 3);
  lab.editService('lblcr');
  lab.pool.addInactive(lab.slot(3), 1);
  t.equal(lab.pick(at(2)), 2);
  t.end();
});
