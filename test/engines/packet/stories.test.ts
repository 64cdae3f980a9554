/**
 * Every packet story, told to the packet engine's forwarder. Most were told by the kernel's own IPVS first; the test's name
 * says it where one was not.
 */
import t from 'tap';
import { beginning, tell } from '../../support/story-runner.ts';
import { createSubject } from '../../support/story-subject.ts';
import { readStories } from '../../support/story.ts';

for (const story of readStories()) {
  const teller = story.source.startsWith('Linux') ? '' : ` (${story.source})`;
  t.test(`${story.name}${teller}`, async (t) => {
    const subject = await createSubject(story, beginning);
    for (const { title, wanted, found } of await tell(story, subject)) {
      t.strictSame(found, wanted, title);
    }
  });
}
