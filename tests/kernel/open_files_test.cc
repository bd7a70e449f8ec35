// Files that are open keep the credentials of their opener alive, until the last of those that
// share them is closed.

#include <gtest/gtest.h>

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

using Does = DescriptorUse::Kind;

class OpenFilesTest : public testing::Test {
 protected:
  OpenFilesTest() : k_(core_profile(), kernel_profile(), with_creds()) {
    k_.spawn(1);
    k_.null_syscall(1);  // what the start has given to RCU is done
  }

  static Config with_creds() {
    Config c = config("kpkeys-poe", false, "pba", Granularity::kBlock);
    c.policy.protection.parameters = {{"cred", "on"}};
    c.memory_bytes = 256ull << 20;
    return c;
  }
  CredStatistics statistics() { return k_.system().creds->statistics(); }
  std::uint64_t live() { return statistics().live; }
  void call(std::uint32_t task, const DescriptorUse& use, CallKind kind = CallKind::kSmall) {
    k_.system_call(task, {.kind = kind, .descriptors = use});
  }
  void open(std::uint32_t task, int descriptor, bool close_on_exec = false) {
    call(task, {Does::kOpen, close_on_exec, descriptor}, CallKind::kOpen);
  }
  void close(std::uint32_t task, int first, int last) {
    call(task, {Does::kClose, false, first, last});
  }
  void close(std::uint32_t task, int descriptor) { close(task, descriptor, descriptor); }
  void duplicate(std::uint32_t task, int from, int to, bool close_on_exec = false) {
    call(task, {Does::kDuplicate, close_on_exec, from, to});
  }
  // setuid(): what task 1 was remains with its program's file, which the kernel has opened as that.
  void become_another(std::uint32_t task) { k_.system_call(task, {.kind = CallKind::kSetCred}); }

  Kernel k_;
};

TEST_F(OpenFilesTest, AFileKeepsTheCredentialsOfItsOpener_WhoHasOthersByThen) {
  become_another(1);
  open(1, 3);
  become_another(1);
  EXPECT_EQ(live(), 3u);  // of the program's file, of the file, of the task
  close(1, 3);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, OpenAndCloseAreASectionEach_AndDupIsNone) {
  const auto sections = [&](const auto& does) {
    const std::uint64_t before = statistics().sections;
    does();
    return statistics().sections - before;
  };
  EXPECT_EQ(sections([&] { open(1, 3); }), 1u);
  EXPECT_EQ(sections([&] { duplicate(1, 3, 4); }), 0u);
  EXPECT_EQ(sections([&] { close(1, 3); }), 0u);
  EXPECT_EQ(sections([&] { close(1, 4); }), 1u);
  EXPECT_EQ(sections([&] { close(1, 4); }), 0u);
}

// path_openat() has the file before it knows that there is nothing to open.
TEST_F(OpenFilesTest, AnOpenThatFailsTakesAReferenceAndGivesItBack) {
  const CredStatistics before = statistics();
  call(1, {Does::kFailedOpen}, CallKind::kLookup);
  EXPECT_EQ(statistics().sections - before.sections, 2u);
  become_another(1);
  become_another(1);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, WhatADescriptorStoodForIsClosed_WhenItStandsForSomethingElse) {
  become_another(1);
  open(1, 3);
  become_another(1);
  open(1, 4);
  duplicate(1, 4, 3);
  EXPECT_EQ(live(), 2u);
  duplicate(1, 3, 3);
  close(1, 4);
  become_another(1);
  EXPECT_EQ(live(), 3u);  // 3 stands for it still
  duplicate(1, 9, 3);     // of one that nothing is known of
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, BothEndsOfAPipeHaveAReference) {
  become_another(1);
  call(1, {Does::kOpenTwo, false, 3, 4}, CallKind::kPipe);
  become_another(1);
  close(1, 3);
  EXPECT_EQ(live(), 3u);
  close(1, 4);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, ACloseOfARangeClosesNoOthers) {
  for (const int descriptor : {3, 4, 5, 6}) {
    become_another(1);
    open(1, descriptor);
  }
  become_another(1);
  EXPECT_EQ(live(), 6u);
  close(1, 4, 5);
  EXPECT_EQ(live(), 4u);
  close(1, 0, 1 << 30);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, AChildSharesFilesAndNotTheTable) {
  become_another(1);
  open(1, 3);
  become_another(1);
  k_.fork(1, 2);
  EXPECT_EQ(live(), 4u);
  close(1, 3);
  open(1, 5);
  close(2, 5);  // it has none
  EXPECT_EQ(live(), 4u);
  k_.exit(2);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, ThreadsShareTheTable_AndTheLastOneClosesIt) {
  become_another(1);
  k_.clone_thread(1, 2);
  open(2, 3);
  become_another(1);
  become_another(2);
  EXPECT_EQ(live(), 4u);
  k_.exit(2);
  EXPECT_EQ(live(), 3u);
  close(1, 3);
  EXPECT_EQ(live(), 2u);
}

TEST_F(OpenFilesTest, ExecClosesWhatIsMarked_AndNothingElse) {
  const auto as_another = [&](int descriptor, bool close_on_exec) {
    become_another(1);
    open(1, descriptor, close_on_exec);
  };
  as_another(3, true);
  as_another(4, false);
  duplicate(1, 4, 5, true);
  as_another(6, false);
  call(1, {Does::kMark, true, 6, 6});
  as_another(7, true);
  call(1, {Does::kMark, false, 7, 7});
  k_.exec(1);
  // Those of 4 and of 7, which the program's file has too, and the task's own.
  EXPECT_EQ(live(), 3u);
  become_another(1);
  close(1, 4);
  EXPECT_EQ(live(), 2u);
}

// exec opens it before it changes the credentials; the mappings keep it open.
TEST_F(OpenFilesTest, AProgramsFileKeepsThoseOfWhoeverExecutedIt_AsLongAsAnybodyRunsIt) {
  k_.exec(1);
  EXPECT_EQ(live(), 2u);
  k_.fork(1, 2);
  EXPECT_EQ(live(), 3u);
  k_.exec(1);  // as the second one, so that the first is the child's alone
  EXPECT_EQ(live(), 4u);
  k_.exit(2);
  EXPECT_EQ(live(), 2u);
  k_.exit(1);
  EXPECT_EQ(live(), 0u);
}

}  // namespace
}  // namespace kpksim::kernel
