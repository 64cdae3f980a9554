/** Every packet story, told to the ebpf engine's programs in the kernel: as on a network card (XDP, then tc), and by tc alone. */
import t from 'tap';
import { noObject } from '../../support/ebpf-director-supply.ts';
import { skip } from '../../support/ebpf-place.ts';
import { EbpfStories } from '../../support/ebpf-story-subject.ts';
import { beginning, tell } from '../../support/story-runner.ts';
import { readStories } from '../../support/story.ts';

t.test('stories by BPF_PROG_TEST_RUN', { skip: skip || noObject }, async (t) => {
  const stories = new EbpfStories();
  t.teardown(() => {
    stories.close();
  });
  for (const kind of ['xdp', 'tc'] as const) {
    for (const story of readStories()) {
      await t.test(`${kind} ${story.name}`, async (t) => {
        const subject = await stories.subject(story, kind, beginning);
        for (const { title, wanted, found } of await tell(story, subject)) t.strictSame(found, wanted, title);
      });
    }
  }
});
