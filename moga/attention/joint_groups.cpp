// See joint_groups.h. Groups follow from the layout and the captions' lengths alone and are made on the host.
#include "moga/attention/joint_groups.h"

#include <ATen/ATen.h>

#include "moga/attention/segments.h"
#include "moga/core/check.h"

namespace moga {
namespace {

std::vector<int64_t> rows_of_shots(const Layout& layout) {
  std::vector<int64_t> rows;
  for (const Segment& segment : shot_segments(layout)) rows.insert(rows.end(), segment.vectors, segment.rows);
  return rows;
}

// Tokens of a frame, for each shot.
std::vector<int64_t> frames_of_shots(const Layout& layout) {
  std::vector<int64_t> tokens;
  for (const VideoShape& video : layout.videos) tokens.insert(tokens.end(), video.shots(), video.frame_tokens());
  return tokens;
}

void append_range(std::vector<int64_t>& index, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) index.push_back(first + i);
}

void shot_scope(JointGroups& groups, c10::Device device) {
  std::vector<int64_t> joint;
  for (size_t shot = 0; shot < groups.video_rows.size(); ++shot)
    joint.push_back(groups.video_rows[shot] + groups.text_rows[shot]);
  const Rows keys = make_rows(joint, {}, device);
  groups.both = {keys, keys};
  groups.video = {make_rows(groups.video_rows, {}, device), keys};
}

// One group per frame, and one for the text of each shot.
void frame_scope(JointGroups& groups, const std::vector<int64_t>& frame_tokens, c10::Device device) {
  struct Lists {
    std::vector<int64_t> queries, keys, index;
  } both, video;
  int64_t base = 0;
  for (size_t shot = 0; shot < frame_tokens.size(); ++shot) {
    const int64_t tokens = groups.video_rows[shot], text = groups.text_rows[shot], frame = frame_tokens[shot];
    for (int64_t first = 0; first < tokens; first += frame)
      for (Lists* lists : {&both, &video}) {
        lists->queries.push_back(frame);
        lists->keys.push_back(frame + text);
        append_range(lists->index, base + first, frame);
        append_range(lists->index, base + tokens, text);
      }
    both.queries.push_back(text);
    both.keys.push_back(tokens + text);
    append_range(both.index, base, tokens + text);
    base += tokens + text;
  }
  groups.both = {make_rows(both.queries, {}, device), make_rows(both.keys, both.index, device)};
  groups.video = {make_rows(video.queries, {}, device), make_rows(video.keys, video.index, device)};
}

// Rows of video and text by turns, in the order of the joint rows.
std::vector<int64_t> turns_of(const JointGroups& groups) {
  std::vector<int64_t> turns;
  for (size_t shot = 0; shot < groups.video_rows.size(); ++shot)
    turns.insert(turns.end(), {groups.video_rows[shot], groups.text_rows[shot]});
  return turns;
}

}  // namespace

JointGroups joint_groups(const Layout& layout, const std::vector<int64_t>& text_lengths, JointScope scope,
                         c10::Device device) {
  layout.validate();
  check(static_cast<int64_t>(text_lengths.size()) == layout.shots(), "joint groups: ", text_lengths.size(),
        " captions for ", layout.shots(), " shots, expected one per shot");
  for (const int64_t length : text_lengths)
    check(length > 0, "joint groups: a caption of ", length, " text tokens, expected at least 1");
  JointGroups groups{.video_rows = rows_of_shots(layout), .text_rows = text_lengths, .both = {}, .video = {}};
  if (scope == JointScope::kShot)
    shot_scope(groups, device);
  else
    frame_scope(groups, frames_of_shots(layout), device);
  return groups;
}

// Split and cat rather than narrow: the gradient of each is one pass over the rows.
at::Tensor join_rows(const VideoAndText& rows, const JointGroups& groups) {
  const auto video = rows.video.split_with_sizes(groups.video_rows),
             text = rows.text.split_with_sizes(groups.text_rows);
  std::vector<at::Tensor> turns;
  for (size_t shot = 0; shot < video.size(); ++shot) turns.insert(turns.end(), {video[shot], text[shot]});
  return at::cat(turns);
}

VideoAndText part_rows(const at::Tensor& joint, const JointGroups& groups) {
  std::vector<at::Tensor> video, text;
  for (const at::Tensor& rows : joint.split_with_sizes(turns_of(groups)))
    (video.size() == text.size() ? video : text).push_back(rows);
  return {at::cat(video), at::cat(text)};
}

JointPairs count_joint_pairs(const Layout& layout, int64_t text_tokens, JointScope scope) {
  const std::vector<int64_t> rows = rows_of_shots(layout), frames = frames_of_shots(layout);
  const auto text = static_cast<double>(text_tokens);
  JointPairs pairs;
  for (size_t shot = 0; shot < rows.size(); ++shot) {
    const auto tokens = static_cast<double>(rows[shot]);
    const double seen = scope == JointScope::kShot ? tokens : static_cast<double>(frames[shot]);
    pairs.video += tokens * (seen + text);
    pairs.text += text * (tokens + text);
  }
  return pairs;
}

}  // namespace moga
