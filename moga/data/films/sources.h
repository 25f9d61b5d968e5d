// What people already have on disk → a list of files with captions. A folder of films with NAME.txt next to each, or a
// list in one of the usual formats, recognised by its extension and keys:
//
//   .json   FastVideo (path, cap), LightX2V (video, prompt), HoloCine (global_caption, shot_captions, shot_cut_frames),
//           EchoShot (shots, cap_list, inner_t): a list of objects
//   .jsonl  the same objects, one per line (musubi-tuner: video_path, caption)
//   .csv    DiffSynth's metadata.csv (video, prompt), LightX2V
//   .toml   musubi-tuner ([[datasets]] video_directory, video_jsonl_file), diffusion-pipe ([[directory]] path)
//   .txt    FastVideo's merge list: folder,list.json
//
// Relative paths begin at the list's folder, or at videos/, video/ or media/ in it. An entry that cannot be used stays
// in the list with its problem; what a list says and is not used is in the notes.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "moga/core/choice.h"

namespace moga {

enum class SourceFormat { kAuto, kFolder, kJson, kJsonLines, kCsv, kToml, kMerge };
template <>
inline constexpr auto kChoices<SourceFormat> = std::array{
    Choice{SourceFormat::kAuto, "auto", "by its extension"},
    Choice{SourceFormat::kFolder, "folder", "films with captions in NAME.txt"},
    Choice{SourceFormat::kJson, "json", "a list of objects"},
    Choice{SourceFormat::kJsonLines, "jsonl", "an object per line"},
    Choice{SourceFormat::kCsv, "csv", "a table with a header"},
    Choice{SourceFormat::kToml, "toml", "folders and lists"},
    Choice{SourceFormat::kMerge, "merge", "lines of folder,list"},
};

struct Source {
  std::filesystem::path path;
  std::vector<std::string> captions;  // one for the whole file, or one per shot
  std::string global_caption;
  std::vector<int64_t> cuts;  // frames at which the second shot and those after it begin; empty: to be found
  bool one_shot = false;      // the list says that the file is one shot
  std::string sequence;       // files of one sequence become one sample, in order; empty: none
  int64_t latent_frames = 0;  // of this file in its sequence; 0: all
  std::string problem;        // why it cannot be used; empty: it can
};

struct SourceList {
  std::vector<Source> sources;
  std::vector<std::string> notes;  // one line each, for the log
};

// Throws when the list itself cannot be read.
SourceList read_sources(const std::filesystem::path& input, SourceFormat format);

}  // namespace moga
