#pragma once
// The strace reader's tests read small texts: what they share.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/workload/strace.h"
#include "tests/scratch.h"
#include "tests/workload/refusal.h"

namespace kpksim::workload {

using Texts = std::vector<std::string>;

// No touches and no image: only what the trace itself says, strictly in its order.
inline TouchRule silent() {
  TouchRule rule;
  rule.own_percent = rule.used_percent = rule.open_kb = rule.shared_percent = 0;
  rule.image_text_kb = rule.image_data_kb = rule.image_zero_kb = 0;
  rule.fork_pages = rule.fork_call_percent = rule.fork_call_text_percent = 0;
  rule.library_zero_percent = rule.store_pages = 0;
  rule.stack_pages = rule.thread_pages = 0;
  rule.turn_calls = 1;
  rule.touch = false;
  return rule;
}

inline std::string text_of(const Operation& op) {
  const auto range = fmt::format("{} {:#x}+{:#x}", op.task, op.address, op.length);
  // What the tests name; others by number.
  const auto advice = [&]() -> std::string {
    switch (op.advice) {
      case Advice::kOther:
        return "other";
      case Advice::kDontNeed:
        return "dontneed";
      case Advice::kHugepage:
        return "hugepage";
      case Advice::kNoHugepage:
        return "nohugepage";
      case Advice::kFree:
        return "free";
      default:
        return std::to_string(static_cast<int>(op.advice));
    }
  };
  switch (op.kind) {
    case OpKind::kSpawn:
      return fmt::format("spawn {}", op.task);
    case OpKind::kMmap:
      return fmt::format("mmap {} {}{}{}{}", range, (op.prot & kProtRead) != 0 ? "r" : "",
                         (op.prot & kProtWrite) != 0 ? "w" : "",
                         (op.prot & kProtExec) != 0 ? "x" : "",
                         std::string(op.shared ? " shared" : "") +
                             (op.file ? fmt::format(" file {}", op.file_id) : "") +
                             (op.advice == Advice::kNoHugepage ? " small pages" : ""));
    case OpKind::kMunmap:
      return "munmap " + range;
    case OpKind::kMprotect:
      return fmt::format("mprotect {} {}", range, op.prot);
    case OpKind::kMadvise:
      return fmt::format("madvise {} {}", range, advice());
    case OpKind::kMremap:
      return fmt::format("mremap {} {:#x}+{:#x}", range, op.new_address, op.new_length);
    case OpKind::kFork:
      return fmt::format("fork {} {}", op.task, op.child);
    case OpKind::kVfork:
      return fmt::format("vfork {} {}", op.task, op.child);
    case OpKind::kCloneThread:
      return fmt::format("thread {} {}", op.task, op.child);
    case OpKind::kExec:
      return fmt::format("exec {}", op.task);
    case OpKind::kExit:
      return fmt::format("exit {}", op.task);
    case OpKind::kWait:
      return fmt::format("wait {} {}", op.task, op.child);
    case OpKind::kTouch:
      return fmt::format("{} {} by {:#x}", op.write ? "write" : "read", range, op.stride);
    case OpKind::kSyscall:
      return fmt::format("call {}", op.task);
    default:
      return "?";
  }
}

class Strace : public testing::Test {
 protected:
  Strace() : path_(test::scratch_folder() / "strace") {}
  ~Strace() override { std::filesystem::remove_all(path_); }

  Workload read(const std::string& text, const TouchRule& rule = silent()) const {
    std::ofstream(path_, std::ios::binary) << text;
    return read_strace(path_.string(), rule);
  }
  // All operations but plain system calls.
  Texts ops(const std::string& text, const TouchRule& rule = silent()) const {
    Texts out;
    const Workload workload = read(text, rule);
    for (const Step& step : workload.phases.at(0).steps) {
      if (step.op.kind != OpKind::kSyscall) out.push_back(text_of(step.op));
    }
    return out;
  }
  std::size_t calls(const std::string& text) const {
    const auto steps = read(text).phases.at(0).steps;
    return static_cast<std::size_t>(std::count_if(
        steps.begin(), steps.end(), [](const Step& s) { return s.op.kind == OpKind::kSyscall; }));
  }
  // The message that refuses the text, without the name of the file.
  std::string error_of(const std::string& text) const {
    return refusal(path_, [&] { read(text); });
  }

  std::filesystem::path path_;
};

inline const std::string kMmap =
    "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n";

}  // namespace kpksim::workload
