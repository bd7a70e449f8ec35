#pragma once
// Protected classes and the contexts that use them, as a file declares them (classes/schema.json),
// and a plan: which class has which key.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json_file.h"
#include "sim/kernel/object/trigger.h"
#include "sim/pkrs/assignment.h"
#include "sim/pkrs/register.h"

namespace kpksim::kernel {

extern const char* const kClassesSchema;

// What runs a class. Page tables and credentials run in the full kernel model, which has a context
// of the class's name for its own sections; the others are objects in pages of their own, with
// streams of accesses.
enum class ClassModel : std::uint8_t { kObjects, kPageTables, kCred };

struct ProtectedClass {
  std::string name, source;
  ClassModel model = ClassModel::kObjects;
  // Of the full model's credentials: how many live from boot on, of tasks that no workload shows.
  std::uint64_t objects = 0, object_bytes = 0;
  bool secret = false;  // nobody reads it outside its contexts

  bool page_tables() const { return model == ClassModel::kPageTables; }
  std::uint64_t bytes() const { return objects * object_bytes; }
};

struct ClassContext {
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  std::string name, source;
  std::vector<std::size_t> writes, reads;  // classes
  std::uint64_t stores = 1, loads = 1;     // an entry has, of each class that it writes or reads
  std::uint64_t instructions = 0;          // beside them; an interrupt may come here
  std::size_t inside = kNowhere;           // it is only entered from within that context
  std::uint64_t sleeps = 0;                // every so many entries the task sleeps in it; 0: never
  // Entries in a million of each trigger.
  std::array<std::uint64_t, static_cast<std::size_t>(Trigger::kCount)> micro_entries{};
};

struct Classes {
  std::string name, source;
  std::vector<ProtectedClass> classes;  // page tables first
  std::vector<ClassContext> contexts;   // those of full models first, page tables' before others

  // The class that this model runs, and its context; of page tables both are 0.
  std::optional<std::size_t> class_of(ClassModel model) const;
  std::size_t context_of(ClassModel model) const;
};

// InputError with file, line and column: what the schema does not allow, a name that is not there
// or is there twice, contexts inside one another in a circle.
Classes read_classes(const std::string& path);
Classes read_classes(const JsonFile& file);

// What is asked with a file of classes beside what it says.
struct Variation {
  double rate = 1;                     // of entries, against the file's
  std::optional<std::size_t> first{};  // so many classes of the file are there, beside page tables
};
// Contexts that use none of the classes are gone; those inside of one that is gone are entered when
// it was.
Classes varied(Classes classes, const Variation& variation);

// What an assignment is asked for. `weights`: of contexts; `table_bytes`: of page tables. Other
// classes have the bytes that the file says.
pkrs::Demand demand_of(const Classes& classes, const std::vector<std::uint64_t>& weights,
                       std::uint64_t table_bytes);

// Which classes run, and under which keys; unprotected, the same accesses happen to pages without
// a key, and no register is written for them.
struct ClassPlan {
  Classes classes;
  bool unprotected = false;
  pkrs::Assignment assignment;

  // At rest: everything to key 0, reads of what is no secret.
  pkrs::KeyRegister at_rest() const;
  // Of a context, if each class has the key that `keys` says.
  pkrs::KeyRegister in_context(std::size_t context, const std::vector<PkeyIndex>& keys) const;
};

}  // namespace kpksim::kernel
