// moga compare: how far two results are apart.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/pipeline/compare.h"

namespace moga {

void add_compare(CLI::App& app) {
  struct Options {
    std::string actual, expected;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare", "Say how far two latents, weights or videos are apart");
  command->footer(R"(Tensors of safetensors files by relative error, videos by PSNR.

Example:
  moga compare moga.safetensors full.safetensors
  moga compare moga.mp4 full.mp4)");
  command->add_option("ACTUAL", options->actual, ".safetensors or video")->required();
  command->add_option("EXPECTED", options->expected, "the same, what errors are relative to")->required();
  command->callback([options] { std::cout << difference_table(compare_files(options->actual, options->expected)); });
}

}  // namespace moga
