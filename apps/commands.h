// The commands of the program `moga`. Each adds a subcommand with its options and manual; the work is the library's.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

void add_generate(CLI::App& app);
void add_serve(CLI::App& app);
void add_info(CLI::App& app);
void add_export(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_inspect(CLI::App& app);
void add_compare(CLI::App& app);
void add_stories(CLI::App& app);
void add_flops(CLI::App& app);
void add_bench(CLI::App& app);
void add_plan(CLI::App& app);
void add_prepare(CLI::App& app);
void add_train(CLI::App& app);
void add_plot(CLI::App& app);
void add_doctor(CLI::App& app);
// These describe the commands that `app` has when they run.
void add_completion(CLI::App& app);
void add_manual(CLI::App& app);

}  // namespace moga
