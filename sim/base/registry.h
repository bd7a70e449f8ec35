#pragma once
// Parts that are chosen by name, each registered in the file of its implementation: adding one is
// adding that file, and no other line.

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.h"

namespace kpksim {

// `Info` has `name`, and `rank`, which orders lists: equal ranks by name, so that the order does
// not depend on how the program was linked.
template <class Info>
class Registry {
 public:
  static const std::vector<const Info*>& all() { return list(); }
  // InputError for an unknown name. `kind`: "protection".
  static const Info& find(std::string_view name, std::string_view kind) {
    std::vector<std::string> known;
    for (const Info* info : list()) {
      if (info->name == name) return *info;
      known.emplace_back(info->name);
    }
    throw InputError(fmt::format("'{}' is not a {}{}", name, kind, suggest(name, known)));
  }

  // A static object of this type, in the implementation's file, registers it.
  class Entry {
   public:
    explicit Entry(Info info) : info_(std::move(info)) {
      auto& infos = list();
      const auto before = [](const Info* a, const Info* b) {
        return a->rank != b->rank ? a->rank < b->rank : a->name < b->name;
      };
      infos.insert(std::upper_bound(infos.begin(), infos.end(), &info_, before), &info_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Info info_;
  };

 private:
  static std::vector<const Info*>& list() {
    static std::vector<const Info*> infos;
    return infos;
  }
};

}  // namespace kpksim
