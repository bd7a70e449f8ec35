#pragma once
// execve(): the address space that a program starts with.

#include <cstdint>
#include <random>

#include "sim/kernel/mapped_program.h"
#include "sim/kernel/program.h"
#include "sim/kernel/user_access.h"

namespace kpksim::kernel {

class Loader {
 public:
  Loader(System& system, UserAccess& access) : system_(system), access_(access) {}

  // What load() loads from now on.
  void set_program(const ProgramImage& program) { program_ = program; }
  const ProgramImage& program() const { return program_; }

  // Into the task's address space, which is empty.
  void load(Task& t, cpu::Core& core);
  void load(const Task& t, const MappedProgram& program, cpu::Core& core);

 private:
  void write_strings(Mm& mm, std::uint64_t end, std::uint64_t pages, cpu::Core& core);
  void map_vdso(Mm& mm, std::uint64_t at, cpu::Core& core);

  System& system_;
  UserAccess& access_;
  ProgramImage program_;
  std::mt19937_64 random_;  // of address randomisation
};

}  // namespace kpksim::kernel
