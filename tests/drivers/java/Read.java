import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Base64;
import java.util.Properties;

/** What pgjdbc makes of the JDBC URLs. Lines that say `dial` are connected with instead. */
public class Read {
  private static final String[][] PARTS = {
    {"host", "PGHOST"}, {"port", "PGPORT"}, {"database", "PGDBNAME"}, {"user", "user"},
    {"password", "password"}, {"sslmode", "sslmode"}, {"application_name", "ApplicationName"}};

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] field = line.split("\t");
      if (field[0].equals("want") || !field[2].equals("jdbc")) {
        continue;
      }
      String url = new String(Base64.getDecoder().decode(field[3]), StandardCharsets.UTF_8);
      String where = "pgjdbc\t" + field[1] + "\tjdbc\t";
      if (field[0].equals("dial")) {
        out.println(dial(field[1], url));
        continue;
      }
      Properties seen = org.postgresql.Driver.parseURL(url, new Properties());
      if (seen == null) {
        out.println("fail\t" + where + encode("no URL of pgjdbc"));
        continue;
      }
      for (String[] part : PARTS) {
        String value = seen.getProperty(part[1], "").replaceAll("^\\[|\\]$", "");
        if (!part[0].equals("host")) {
          value = seen.getProperty(part[1], "");
        }
        out.println("got\t" + where + part[0] + "\t" + encode(value.replace(",[", ",")));
      }
    }
  }

  private static String dial(String name, String url) {
    String where = "\tpgjdbc\t" + name + "\tjdbc\t";
    try (Connection connection = DriverManager.getConnection(url);
        ResultSet rows = connection.createStatement().executeQuery(
            "select current_user || ' ' || current_database()")) {
      rows.next();
      return "dialed" + where + encode(rows.getString(1));
    } catch (SQLException error) {
      return "fail" + where + encode(error.getMessage());
    }
  }

  private static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }
}
