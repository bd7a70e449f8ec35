// kpksim: the command line. What goes wrong ends with one message and a status that says of what
// kind it is.

#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/output.h"
#include "app/version.h"
#include "sim/base/error.h"
#include "sim/base/output_file.h"
#include "sim/kernel/kernel_memory.h"

namespace {

namespace app = kpksim::app;
using Arguments = std::vector<std::string>;

constexpr int kCheckFailed = 1, kBadInput = 2, kFailed = 3;

// Memory that is freed stays in the heap: the next simulation needs as much, and each piece that
// goes back to the host stops all threads for a moment, as their processors' TLBs have to forget
// it.
void keep_heap() {
#ifdef M_TRIM_THRESHOLD
  constexpr int kMost = 1 << 30;
  constexpr int kLargestInHeap = 32 << 20;  // the most that mallopt(3) takes (HEAP_MAX_SIZE / 2)
  mallopt(M_TRIM_THRESHOLD, kMost);
  mallopt(M_MMAP_THRESHOLD, kLargestInHeap);
#endif
}

int dispatch(const Arguments& arguments) {
  if (arguments.empty()) {
    std::cerr << app::usage();
    return kBadInput;
  }
  const std::string& name = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "--help" || name == "-h" || name == "help") return app::help(rest);
  if (name == "--version" || name == "version") return app::version();
  return app::command_named(name).run(rest);
}

int out_of_memory() {
  app::complain("out of memory; a smaller --memory, fewer --jobs or a smaller input may do");
  return kFailed;
}

// As if SIGPIPE had never been ignored: the shell sees what it sees of other programs.
int reader_gone() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return kFailed;
}

// What went wrong, from the exception in flight.
int failure() {
  try {
    throw;
  } catch (const kpksim::InputError& e) {
    app::complain(e.what());
    return kBadInput;
  } catch (const boost::program_options::error& e) {
    app::complain(e.what());
    return kBadInput;
  } catch (const std::filesystem::filesystem_error& e) {
    app::complain(e.path1().string() + ": cannot be read: " + e.code().message());
    return kBadInput;
  } catch (const app::ReaderGone&) {
    return reader_gone();
  } catch (const kpksim::OutputError& e) {
    app::complain(e.what());
  } catch (const kpksim::kernel::StrayStoreRefused& e) {
    app::complain(std::string("the simulated kernel died: ") + e.what());
    return kCheckFailed;
  } catch (const kpksim::kernel::StrayStoreDone& e) {
    app::complain(e.what());
    return kCheckFailed;
  } catch (const kpksim::kernel::KernelOops& e) {
    app::complain(std::string("the simulated kernel died: ") + e.what());
  } catch (const kpksim::ModelError& e) {
    app::complain(std::string("a defect of kpksim: ") + e.what());
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const std::length_error&) {  // more than any memory has
    return out_of_memory();
  } catch (const std::exception& e) {
    app::complain(std::string("a defect of kpksim: ") + e.what());
  }
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  // Writes fail instead, and say why: a pipe without a reader, a file beyond ulimit -f.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  keep_heap();
  try {
    app::StandardOutput output;
    int status = kFailed;
    try {
      status = dispatch({argv + std::min(argc, 1), argv + argc});
      output.finish();
    } catch (...) {
      status = failure();
    }
    return status;
  } catch (...) {  // no memory even for the message
    return kFailed;
  }
}
