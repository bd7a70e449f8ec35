#pragma once
// A program that is being drawn. Each operation is shown to the Reference before it is one of the
// program's; what is refused is not tried again, and the next one is another.

#include <fmt/core.h>

#include <optional>
#include <string>

#include "sim/fuzz/generator.h"

namespace kpksim::fuzz {

class Draft {
 public:
  Draft(Dice& dice, const Bounds& bounds) : dice_(dice), bounds_(bounds) {}

  Program make();

 private:
  bool add(const Json& op) {
    if (!reference_->take(op)) return false;
    program_.ops.push_back(op);
    return true;
  }
  std::string new_task() { return fmt::format("t{}", ++last_task_); }
  std::string new_region() { return fmt::format("r{}", ++last_region_); }
  const Task& task() const { return reference_->tasks().at(task_); }

  void propose();
  void memory();
  std::uint64_t size();
  void map();
  // An operation on the region, or on a part of it.
  Json part(const char* name, bool whole = false);
  void touch();
  void strike(std::uint64_t offset);
  void advise();
  void lock();
  void remap();
  void file();
  void tasks();
  void calls();
  void kernel();
  // All exit, in any order that the tasks allow.
  void end();

  Dice& dice_;
  const Bounds& bounds_;
  Program program_;
  std::optional<Reference> reference_;
  std::string task_, region_;  // that the next operation is about
  unsigned last_task_ = 0, last_region_ = 0;
};

}  // namespace kpksim::fuzz
