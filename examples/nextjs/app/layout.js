export const metadata = {title: "Orders"};

export default function Layout({children}) {
  return (
    <html lang="en">
      <body style={{fontFamily: "sans-serif", margin: "2rem auto", maxWidth: "40rem"}}>
        {children}
      </body>
    </html>
  );
}
