// The files of an inspection, in one folder that is written whole or not at all:
//
//   index.html                        the page: maps over the film, tables, keys of a clicked token; needs no network
//   inspect.json                      the numbers (inspect_report.h)
//   sheets/step-005-layer-03.png      for each observed step and layer: one row per shot, two latent frames in it, each
//                                     as film, groups, gate and entropy
#pragma once

#include <filesystem>

#include "moga/pipeline/inspect.h"

namespace moga {

// `folder` must not exist.
void write_inspection(const std::filesystem::path& folder, const Inspection& inspection);

// uint8 [3, Y, X].
at::Tensor record_sheet(const Inspection& inspection, const RoutingRecord& record);

// The page's text: page/ with the inspection's data in it.
std::string inspection_page(const Inspection& inspection);

}  // namespace moga
