#pragma once
// The programs whose sizes are known, by all their names.

#include <map>
#include <string>

#include "sim/workload/strace_images.h"

namespace kpksim::workload {

class KnownPrograms {
 public:
  KnownPrograms();
  // False: the path has a size already.
  bool add(const std::string& path, const ProgramSize& size);
  // A symbolic link, to be followed as the kernel does; a script is one to its interpreter.
  bool link(const std::string& path, const std::string& target);
  // nullptr: unknown.
  const ProgramSize* find(const std::string& path) const;

 private:
  // Where the path leads to; empty if it goes in circles.
  std::string resolved(const std::string& path) const;

  std::map<std::string, ProgramSize> sizes_;
  std::map<std::string, std::string> links_;
};

}  // namespace kpksim::workload
