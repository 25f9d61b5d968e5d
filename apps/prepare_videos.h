// moga prepare videos, a command of `moga prepare`.
#pragma once

#include <CLI/CLI.hpp>

namespace moga {

void add_prepare_videos(CLI::App& prepare);

}  // namespace moga
