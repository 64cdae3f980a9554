#!/usr/bin/env node
void import('../daemon/process.ts').then(({ main }) => main(process.argv));
