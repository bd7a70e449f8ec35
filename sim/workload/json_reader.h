#pragma once
// For json_operations.cc and the files beside it that read one kind of operation each, as
// execute_*.cc execute them.

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/workload/json_operations.h"
#include "sim/workload/json_source.h"

namespace kpksim::workload {

class JsonOperations::Reader {
 public:
  using json = nlohmann::json;

  Reader(std::string path, std::unordered_map<std::string, std::uint32_t> lines, std::uint64_t seed)
      : path_(std::move(path)), lines_(std::move(lines)), seed_(seed) {}

  TaskTable& tasks() { return tasks_; }
  void set_program(const kernel::ProgramImage& image, Workload& workload);
  void set_names(Workload& workload) const {
    workload.task_names = task_ids_.all();
    workload.region_names = region_ids_.all();
  }
  // With "every", the operation is done again that many bytes further on, up to "end" or the
  // region's end.
  void read(const json& object, const std::string& pointer, std::vector<Step>& out);

 private:
  class Ids {
   public:
    std::uint32_t operator[](const std::string& name) {
      return ids_.emplace(name, static_cast<std::uint32_t>(ids_.size() + 1)).first->second;
    }
    const std::map<std::string, std::uint32_t>& all() const { return ids_; }

   private:
    std::map<std::string, std::uint32_t> ids_;
  };

  using Task = const std::string&;
  using From = const JsonSource&;

  struct Kind {
    OpKind kind;
    void (Reader::*read)(From, Task, Operation&);
  };
  // By the name in "op".
  static const std::map<std::string, Kind>& kinds();

  void operation(const json& object, const std::string& pointer, std::vector<Step>& out);
  // Fills in offset and length within a region; whole pages unless it is a touch.
  void range(From from, const Region& region, Operation& op) const;
  // Parts of the program image have ids of their own, behind all others.
  RegionId region_id(const std::string& name);
  void nothing(From, Task, Operation&) {}

  // json_memory.cc
  void mmap(From from, Task task, Operation& op);
  // MAP_HUGETLB, or a mapping of a file of hugetlbfs.
  static void hugetlb(From from, Operation& op);
  static std::uint64_t hugetlb_bytes(From from, const char* key);
  void munmap(From from, Task task, Operation& op);
  void mprotect(From from, Task task, Operation& op);
  void madvise(From from, Task task, Operation& op);
  void mremap(From from, Task task, Operation& op);
  void mlock(From from, Task task, Operation& op);
  void mlockall(From from, Task, Operation& op);
  // An operation on a region or a part of it.
  void part(From from, Task task, Operation& op);
  void brk(From from, Task task, Operation& op);

  // json_files.cc
  void truncate(From from, Task, Operation& op);
  void close(From from, Task, Operation& op);
  // A file that an mmap has named before.
  std::uint32_t mapped_file(From from);

  // json_tasks.cc
  void new_task(From from, Task task, Operation& op);
  void exec(From from, Task task, Operation& op);
  void exit(From, Task task, Operation&);
  void wait(From from, Task task, Operation&);
  void migrate(From from, Task, Operation& op);

  // json_accesses.cc
  void touch(From from, Task task, Operation& op);
  void stray_store(From from, Task task, Operation& op);
  void syscall(From from, Task task, Operation& op);
  kernel::DescriptorUse descriptors(From from, Task task);
  // The data of a call that moves some lies in a region: the kernel writes what is read.
  void data_place(From from, Task task, Operation& op);

  // json_kernel_memory.cc
  void kernel_map(From from, Task, Operation& op);
  void kernel_unmap(From from, Task, Operation& op);
  void hugepages(From from, Task, Operation& op);
  void nr_hugepages(From from, Task, Operation& op);
  void fragment(From from, Task, Operation& op);
  void unfragment(From from, Task, Operation&);

  const std::string path_;
  const std::unordered_map<std::string, std::uint32_t> lines_;
  const std::uint64_t seed_;
  TaskTable tasks_;
  Ids task_ids_, region_ids_, file_ids_;
  std::map<std::string, bool> in_memory_;  // of each file that was mapped
};

}  // namespace kpksim::workload
