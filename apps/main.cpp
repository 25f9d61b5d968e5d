// The program `moga`: a list of commands. An error is reported as one line on stderr with exit status 1, or 130 after
// Ctrl-C.
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <new>

#include "apps/commands.h"
#include "apps/misspelt.h"
#include "apps/option_checks.h"
#include "apps/ranks.h"
#include "moga/core/device.h"
#include "moga/core/excerpt.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/parallel/launcher.h"
#include "moga/parallel/process_group.h"

namespace {

#ifdef MOGA_CUDA
constexpr const char* kKernels = "CUDA kernels for sm_90a";
#else
constexpr const char* kKernels = "no CUDA kernels (built without MOGA_CUDA)";
#endif

std::string version() { return "moga " MOGA_VERSION "\nLibTorch " TORCH_VERSION "\n" + std::string(kKernels); }

// The end of a rank: without destructors, which could wait for collectives that never end.
[[noreturn]] int leave(int status) {
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(status);
}

int report(const std::string& message, int status = 1) {
  const std::string line = moga::printable(moga::with_short_words(message.substr(0, message.find('\n'))));
  if (!moga::tell_launcher(line)) std::cerr << "moga: " << line << std::endl;
  return moga::joined_others() ? leave(status) : status;
}

int run(int argc, char** argv) {
  CLI::App app{
      "MoGA: minute-long, multi-shot video from a shot script, by a diffusion transformer with\n"
      "Mixture-of-Groups Attention (arXiv 2510.18692).",
      "moga"};
  app.require_subcommand(1);
  app.set_version_flag("--version", version, "Versions of moga and LibTorch, and whether it has CUDA kernels");
  app.footer("`moga COMMAND --help` is the manual of a command.");
  moga::add_generate(app);
  moga::add_serve(app);
  moga::add_info(app);
  moga::add_export(app);
  moga::add_evaluate(app);
  moga::add_calibrate(app);
  moga::add_inspect(app);
  moga::add_compare(app);
  moga::add_stories(app);
  moga::add_flops(app);
  moga::add_bench(app);
  moga::add_plan(app);
  moga::add_prepare(app);
  moga::add_train(app);
  moga::add_plot(app);
  moga::add_doctor(app);
  moga::add_completion(app);
  moga::add_manual(app);
  moga::check_whole_numbers(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();  // the launcher of ranks has reported
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report(moga::explain(app, error));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  moga::catch_interrupts();
  moga::use_expandable_segments();
  try {
    const int status = run(argc, argv);
    return moga::joined_others() ? leave(status) : status;
  } catch (const moga::Interrupted& error) {
    return report(error.what(), moga::kInterruptedExit);
  } catch (const moga::PeerFailure& error) {
    return report(error.what(), moga::kPeerFailureExit);
  } catch (const c10::Error& error) {
    return report(error.what_without_backtrace());
  } catch (const std::filesystem::filesystem_error& error) {
    return report(error.path1().string() + ": " + error.code().message());
  } catch (const std::bad_alloc&) {
    return report("out of memory");
  } catch (const std::exception& error) {
    return report(error.what());
  }
}
