#pragma once
// What may stand in the place of a value, from the tables that the program itself reads: for
// completion (command_line.h, Words). `begun` is what is there of the value.

#include <string>
#include <vector>

namespace kpksim::app {

std::vector<std::string> core_words(const std::string& begun);
std::vector<std::string> kernel_words(const std::string& begun);
std::vector<std::string> workload_words(const std::string& begun);
std::vector<std::string> attack_words(const std::string& begun);
std::vector<std::string> classes_words(const std::string& begun);
// A policy up to the end of the part that is begun: "kpkeys-poe+lazy,p" has "kpkeys-poe+lazy,pba,".
// After a part's name and ':' its parameters. Only what goes together with the parts before it.
std::vector<std::string> policy_words(const std::string& begun);
std::vector<std::string> policies_words(const std::string& begun);  // of --policies
std::vector<std::string> strategy_words(const std::string& begun);  // of keys
// Of --set: documents, and the numbers of the usual profiles.
std::vector<std::string> setting_words(const std::string& begun);
std::vector<std::string> fault_words(const std::string& begun);  // of --inject

}  // namespace kpksim::app
