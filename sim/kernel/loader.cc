#include "sim/kernel/loader.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint32_t kProgramFile = 1u << 23;
constexpr std::uint32_t kVdsoFile = kProgramFile + 1;

// Address randomisation, in pages: STACK_RND_MASK, vm.mmap_rnd_bits (18), arch_randomize_brk(); and
// the room for the stack (RLIMIT_STACK, stack_guard_gap).
constexpr std::uint64_t kStackRandom = 1ull << 18, kMmapRandom = 1ull << 18,
                        kHeapRandom = 1ull << 18;
constexpr std::uint64_t kStackGap = 9ull << 20;

}  // namespace

// bprm_mm_init() and copy_strings(): the new stack is written before its final size and protection
// are known.
void Loader::write_strings(Mm& mm, std::uint64_t end, std::uint64_t pages, cpu::Core& core) {
  Vma stack;
  stack.read = stack.write = stack.grows_down = true;
  const std::uint64_t strings = end - pages * kPageSize;
  mm.mmap(stack, pages * kPageSize, strings, core);
  for (std::uint64_t va = strings; va < end; va += kPageSize) {
    mm.handle_fault(VirtAddr(va), true, false, core);
  }
}

// arch_setup_additional_pages(); at 0: where there is room
void Loader::map_vdso(Mm& mm, std::uint64_t at, cpu::Core& core) {
  Vma vdso;
  vdso.read = vdso.exec = vdso.file = vdso.single = true;
  vdso.file_id = kVdsoFile;
  mm.placement.vdso = mm.mmap(vdso, kVdsoPages * kPageSize, at, core);
  Vma vvar;
  vvar.read = vvar.special = true;
  mm.mmap(vvar, kVvarPages * kPageSize, mm.placement.vdso - kVvarPages * kPageSize, core);
}

void Loader::load(const Task& t, const MappedProgram& program, cpu::Core& core) {
  core.execute(system_.path().exec);
  Mm& mm = *t.mm;
  write_strings(mm, program.user_end, program.exec_stack_pages, core);
  mm.finish_stack(program.stack_top, program.stack_bytes, core);
  for (const Vma& segment : program.segments) {
    mm.mmap(segment, segment.length(), segment.start, core);
  }
  mm.brk_start = mm.brk = mm.placement.heap = program.heap;
  map_vdso(mm, program.vdso, core);
}

// setup_arg_pages() and load_elf_binary()
void Loader::load(Task& t, cpu::Core& core) {
  t.sve_trap = system_.machine.profile().sve;
  t.sve = false;
  core.execute(system_.path().exec);
  Mm& mm = *t.mm;
  write_strings(mm, ProgramImage::kStackTop, program_.exec_stack_pages, core);
  std::uint64_t stack_top = ProgramImage::kStackTop, heap = program_.heap_base();
  if (program_.randomize) {
    mm.set_mmap_base(ProgramImage::kStackTop - kStackGap - kStackRandom * kPageSize -
                     random_() % kMmapRandom * kPageSize);
    stack_top -= random_() % kStackRandom * kPageSize;
    heap += random_() % kHeapRandom * kPageSize;
  }
  mm.finish_stack(stack_top, program_.stack_bytes, core);
  Vma text;
  text.read = text.file = true;
  text.file_id = kProgramFile;
  const auto segment = [&](Vma vma, std::uint64_t start, std::uint64_t bytes) {
    vma.file_offset = start - ProgramImage::kBase;
    if (bytes != 0) mm.mmap(vma, align_up(bytes, kPageSize), start, core);
  };
  segment(text, ProgramImage::kBase, program_.header_bytes);
  segment(text, program_.rodata_base(), program_.rodata_bytes);
  text.exec = true;
  segment(text, program_.text_base(), program_.text_bytes);
  Vma data = text;
  data.exec = false;
  data.write = true;
  segment(data, program_.data_base(), program_.data_bytes);
  Vma bss;
  bss.read = bss.write = true;
  segment(bss, program_.bss_base(), program_.bss_bytes);
  if (program_.bss_bytes != 0 && !is_aligned(program_.data_bytes, kPageSize)) {  // padzero()
    access_.by_kernel(t, program_.data_base() + program_.data_bytes, poe::AccessKind::kWrite);
  }
  mm.brk_start = mm.brk = mm.placement.heap = heap;
  if (program_.heap_bytes != 0) mm.set_brk(mm.brk + program_.heap_bytes, core);
  map_vdso(mm, 0, core);
}

}  // namespace kpksim::kernel
