#pragma once
// What is alive at one point of a workload: tasks, the regions of their address spaces and the
// kernel's mappings. Refuses what a kernel would refuse or what would never end, while reading, so
// that the message can name the place in the file. Every `place` is "file: /json/pointer".

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kpksim::workload {

// A named mapping and which parts of it are still mapped.
struct Region {
  std::uint64_t size = 0;
  bool heap = false;                                            // grows by brk
  std::vector<std::pair<std::uint64_t, std::uint64_t>> mapped;  // [begin, end), disjoint

  bool covers(std::uint64_t offset, std::uint64_t length) const;
  bool overlaps(std::uint64_t offset, std::uint64_t length) const;
  void cut(std::uint64_t offset, std::uint64_t length);
  void grow(std::uint64_t bytes);
};

class TaskTable {
 public:
  // Regions that every new program has, with their sizes.
  void set_image(std::vector<std::pair<std::string, std::uint64_t>> image) {
    image_ = std::move(image);
  }

  void spawn(const std::string& task, const std::string& place);
  void fork(const std::string& task, const std::string& child, const std::string& place);
  void vfork(const std::string& task, const std::string& child, const std::string& place);
  void clone(const std::string& task, const std::string& child, const std::string& place);
  void exec(const std::string& task);
  void exit(const std::string& task);
  void wait(const std::string& task, const std::string& child, const std::string& place);
  void check_runs(const std::string& task, const std::string& place) const;

  // The task's region of that name; an InputError when it has none.
  Region& region(const std::string& task, const std::string& name, const std::string& place);
  void map(const std::string& task, const std::string& name, std::uint64_t size,
           const std::string& place);
  void grow_heap(const std::string& task, const std::string& name, std::uint64_t size,
                 const std::string& place);
  void unmap(const std::string& task, const std::string& name, std::uint64_t offset,
             std::uint64_t size, const std::string& place);
  // Sizes of all heaps; and `rounds` more times what they have grown since.
  void shrink_heap(const std::string& task, const std::string& name, std::uint64_t size,
                   const std::string& place);
  std::map<std::string, std::uint64_t> heap_sizes() const;
  void repeat_growth(const std::map<std::string, std::uint64_t>& before, std::uint64_t rounds,
                     const std::string& place);

  // Descriptors that stay. One that is open cannot be opened, one that is not cannot be closed.
  void open(const std::string& task, int descriptor, bool close_on_exec, const std::string& place);
  void close(const std::string& task, int descriptor, const std::string& place);
  void check_open(const std::string& task, int descriptor, const std::string& place) const;

  // `maker` is the operation ("vmalloc") that made a kernel mapping.
  void map_kernel(const std::string& name, const std::string& maker, const std::string& place);
  void unmap_kernel(const std::string& name, const std::string& maker, const std::string& place);

  void fragment(const std::string& place);
  void unfragment(const std::string& place);

 private:
  using AddressSpace = std::map<std::string, Region>;
  using Descriptors = std::map<int, bool>;  // and whether exec closes them
  struct Task {
    std::shared_ptr<AddressSpace> memory;  // shared by threads and, until exec or exit, by vfork
    std::string leader;                    // first task of the process
    std::string parent;                    // who waits for it; empty: nobody
    bool exited = false;                   // and not yet waited for
    std::string vfork_child;               // the task stands still until that one execs or exits
    std::shared_ptr<Descriptors> files = std::make_shared<Descriptors>();  // shared by threads
  };

  std::shared_ptr<AddressSpace> new_program() const;
  void add(const std::string& name, Task task, const std::string& place);
  void release_vfork(const std::string& child);
  void check_free(const std::string& region, const std::string& place) const;

  std::vector<std::pair<std::string, std::uint64_t>> image_;
  std::map<std::string, Task> tasks_;
  std::map<std::string, std::string> kernel_;  // region -> operation that made it
  bool fragmented_ = false;
};

}  // namespace kpksim::workload
