// moga doctor: what this machine has, and a self-test.
#include <torch/version.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/bench/doctor.h"
#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/log.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(One page about this machine, to paste into a bug report: system, GPUs, attention backends and why each
is or is not used, video codecs, and a self-test of a few seconds: attention compared with float64, and
the rates of matrix products and copies. It names no user, path or address. Exit status 1: the self-test
failed, or a GPU is there and cannot be used.

Example:
  moga doctor
  moga doctor --device cuda:1 --json doctor.json)";

struct Options {
  std::string device = "auto", json;
};

void run(const Options& options) {
  set_quiet(true);  // the report names the backends
  const MachineReport report = examine_machine(options.device);
  if (!options.json.empty()) write_text(options.json, to_json_text(report));
  std::cout << "moga         " MOGA_VERSION ", LibTorch " TORCH_VERSION "\n" << to_text(report) << std::flush;
  check(report.without_gpu.empty(), report.without_gpu);
  check(report.healthy(), "the self-test failed: results of this machine cannot be trusted");
}

}  // namespace

void add_doctor(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "Describe this machine and test that it computes correctly");
  command->footer(kManual);
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--json", options->json, "write the report as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace moga
