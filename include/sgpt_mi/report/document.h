#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::report {

/// A finished picture of a report.
struct Picture {
  std::string file_name;  ///< "mi_matrix.png"; what Markdown links to
  std::string caption;    ///< one sentence: what is drawn, in which unit
  std::string png;        ///< the file's bytes; HTML carries them inside
};

/// A part of a report: title, then paragraphs, then the table, then the pictures.
struct Section {
  std::string title;
  std::vector<std::string> paragraphs;
  std::vector<std::vector<std::string>> table;  ///< first row: headings; empty: no table
  std::vector<Picture> pictures;
};

/// A report for people, independent of the format it is written in.
struct Document {
  std::string title;
  std::vector<Section> sections;
};

/// Adds a section of pictures, or of warnings, unless there are none.
void add_pictures(Document& document, std::vector<Picture> pictures);
void add_warnings(Document& document, const std::vector<std::string>& warnings);

/// Text for element content and for quoted attributes of HTML.
[[nodiscard]] std::string escape_html(std::string_view text);

/// For a terminal: titles, paragraphs, aligned tables; pictures are left out. Ends with a newline.
[[nodiscard]] std::string to_text(const std::vector<Section>& sections);

/// GitHub-flavoured Markdown. Pictures are links to their file names, for files beside the
/// document. Characters with a meaning in Markdown or HTML are escaped. Ends with a newline.
[[nodiscard]] std::string to_markdown(const Document& document);

/// One HTML 5 page that needs no other file, no network and no script: its style and its pictures
/// (data: URLs) are inside. Texts are escaped. Ends with a newline.
[[nodiscard]] std::string to_html(const Document& document);

/// Comma-separated values as of RFC 4180: CRLF line ends; cells with a comma, a quote or a line
/// break are quoted, quotes doubled.
[[nodiscard]] std::string to_csv(const std::vector<std::vector<std::string>>& rows);

/// Rows of cells as aligned text: the first column flush left, the others flush right, two spaces
/// between columns, a rule below the first row. Widths count UTF-8 code points. Rows may be short.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace sgpt_mi::report
