#include "sim/kernel/open_files.h"

#include <utility>

namespace kpksim::kernel {

OpenFile open_file(Creds& creds, cpu::Core& core, LiveCred opener) {
  creds.get(core, opener);
  return std::make_shared<const LiveCred>(opener);
}

void put_file(Creds& creds, cpu::Core& core, OpenFile file) {
  const OpenFile user = std::move(file);  // who gives it up has it no longer
  if (user.use_count() == 1) creds.put(core, *user);
}

void OpenFiles::use(cpu::Core& core, const DescriptorUse& use, LiveCred by) {
  using Kind = DescriptorUse::Kind;
  const auto first = open_.lower_bound(use.first);
  const auto behind = use.second < use.first ? first : open_.upper_bound(use.second);
  switch (use.kind) {
    case Kind::kNone:
      return;
    case Kind::kFailedOpen:
      return put_file(creds_, core, open_file(creds_, core, by));
    case Kind::kOpen:
      return set(core, use.first, {open_file(creds_, core, by), use.close_on_exec});
    case Kind::kOpenTwo:
      set(core, use.first, {open_file(creds_, core, by), use.close_on_exec});
      return set(core, use.second, {open_file(creds_, core, by), use.close_on_exec});
    case Kind::kDuplicate:
      return duplicate(core, use);
    case Kind::kClose:
      return close(core, first, behind);
    case Kind::kMark:
      for (auto it = first; it != behind; ++it) it->second.close_on_exec = use.close_on_exec;
      return;
  }
}

// What it has stood for is closed, in dup2() by that call itself.
void OpenFiles::set(cpu::Core& core, int descriptor, Descriptor to) {
  OpenFile before = std::exchange(open_[descriptor], std::move(to)).file;
  if (before) put_file(creds_, core, std::move(before));
}

void OpenFiles::duplicate(cpu::Core& core, const DescriptorUse& use) {
  if (use.first == use.second) return;
  const auto from = open_.find(use.first);
  if (from != open_.end()) return set(core, use.second, {from->second.file, use.close_on_exec});
  const auto to = open_.find(use.second);
  if (to != open_.end()) close(core, to, std::next(to));
}

void OpenFiles::close(cpu::Core& core, Table::iterator from, Table::iterator to) {
  while (from != to) {
    OpenFile file = std::move(from->second.file);
    from = open_.erase(from);
    put_file(creds_, core, std::move(file));
  }
}

void OpenFiles::executed(cpu::Core& core) {
  for (auto it = open_.begin(); it != open_.end();) {
    const auto next = std::next(it);
    if (it->second.close_on_exec) close(core, it, next);
    it = next;
  }
}

void OpenFiles::close_all(cpu::Core& core) { close(core, open_.begin(), open_.end()); }

}  // namespace kpksim::kernel
