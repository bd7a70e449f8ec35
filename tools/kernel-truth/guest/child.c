// SPDX-License-Identifier: MIT
// The small static program that the exec phases start: it exits at once.
int main(void) { return 0; }
