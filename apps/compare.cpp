// moga compare: how far two results are apart, as a table, as JSON and as an exit status.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/pipeline/compare.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Compares tensors of safetensors files and models by relative error, and videos by PSNR. Prints the
tensors that differ most, and a summary. The exit status is 0 if no relative error is above
--tolerance, otherwise 1. Without --tolerance, only bit-identical files give 0.

Example:
  moga compare moga.safetensors full.safetensors --tolerance 1e-2
  moga compare models/demo models/demo-bf16 --tolerance 0.01 --json differences.json
  moga compare moga.mp4 full.mp4)";

struct Options {
  std::string actual, expected, json;
  double tolerance = 0;
  bool all = false;
};

void run(const Options& options) {
  const std::vector<FileDifference> differences = compare_files(options.actual, options.expected);
  if (!options.json.empty()) write_text(options.json, difference_json(differences));
  const int64_t rows = options.all ? static_cast<int64_t>(differences.size()) : kMostDifferences;
  std::cout << printable(difference_table(differences, rows)) << std::flush;
  check_difference(differences, options.tolerance);
}

}  // namespace

void add_compare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare", "Say how far two latents, weights, models or videos are apart");
  command->footer(kManual);
  command->add_option("ACTUAL", options->actual, ".safetensors, model folder or video")->required();
  command->add_option("EXPECTED", options->expected, "the reference, to which errors are relative")->required();
  command->add_option("--tolerance", options->tolerance, "largest relative error of a tensor that gives exit status 0")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--all", options->all, "print every tensor");
  command->add_option("--json", options->json, "file to write as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace moga
